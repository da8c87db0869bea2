#include "train/gradient_reducer.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>
#include <utility>

#include "train/pairwise_sum.h"

namespace acm::train {
namespace {

struct Bucket {
  std::vector<size_t> members;  // parameters
  at::Tensor flat;              // their gradients, one after the other
  bool gathered = false;        // else each gradient is still where backward made it
  size_t pending = 0;           // gradients to wait for before they are gathered or, where armed, reduced
  std::unique_ptr<comm::Work> work;
  PairwiseSum slices;  // kTree: the gradients of this rank's slices
};

class ReadyHook final : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit ReadyHook(std::function<void()> ready) : ready_(std::move(ready)) {}
  void operator()(const torch::autograd::Variable&) override { ready_(); }

 private:
  std::function<void()> ready_;
};

}  // namespace

struct GradientReducer::Impl {
  std::vector<at::Tensor> parameters;
  std::vector<size_t> bucket_of;  // by parameter
  std::vector<Bucket> buckets;
  comm::Communicator& group;
  const SumOrder order;
  size_t next = 0;  // the first bucket that was not launched: they launch in index order, the same on all ranks
  size_t overlapped = 0;
  bool armed = false;

  void add_bucket(std::vector<size_t> members);
  void release(Bucket& bucket) {
    for (const size_t member : bucket.members) parameters[member].mutable_grad().reset();
    bucket.gathered = false;
    bucket.pending = bucket.members.size();
  }
  void hold(Bucket& bucket, at::Tensor flat) {
    bucket.flat = std::move(flat);
    int64_t offset = 0;
    for (const size_t member : bucket.members) {
      at::Tensor& parameter = parameters[member];
      parameter.mutable_grad() = bucket.flat.narrow(0, offset, parameter.numel()).view(parameter.sizes());
      offset += parameter.numel();
    }
    bucket.gathered = true;
  }
  // One copy of all, where adding each to zeros would take an operation each and read the zeros too.
  void gather(Bucket& bucket) {
    if (bucket.gathered) return;
    std::vector<at::Tensor> parts;
    for (const size_t member : bucket.members) {
      const at::Tensor& parameter = parameters[member];
      parts.push_back(parameter.grad().defined() ? parameter.grad().reshape(-1)
                                                 : at::zeros({parameter.numel()}, parameter.options()));
    }
    hold(bucket, bucket.flat.defined() ? at::cat_out(bucket.flat, parts) : at::cat(parts));
  }
  void launch_next() {
    gather(buckets[next]);
    buckets[next].work = group.all_reduce(buckets[next].flat, comm::ReduceOp::kSum);
    ++next;
  }
  void finish_launched() {
    while (next < buckets.size()) launch_next();
    for (Bucket& bucket : buckets) {
      bucket.work->wait();
      bucket.work.reset();
    }
    next = 0;
  }
  void add_ranks_in_tree() {
    for (Bucket& bucket : buckets) {
      at::Tensor mine = bucket.slices.take();
      if (group.size() > 1) {
        PairwiseSum ranks;
        for (const at::Tensor& each : group.all_gather(mine).unbind(0)) ranks.add(each);
        mine.copy_(ranks.take());  // a view would keep what all ranks sent
      }
      hold(bucket, std::move(mine));
    }
  }
  void gradient_ready(size_t parameter) {
    Bucket& bucket = buckets[bucket_of[parameter]];
    if (bucket.gathered && !armed) return;
    TORCH_CHECK(bucket.pending > 0, "a gradient arrived twice: arm() is for one backward");
    if (--bucket.pending > 0) return;
    gather(bucket);
    if (!armed) return;
    for (; next < buckets.size() && buckets[next].pending == 0; ++overlapped) launch_next();
  }
};

void GradientReducer::Impl::add_bucket(std::vector<size_t> members) {
  for (const size_t member : members) bucket_of[member] = buckets.size();
  Bucket& bucket = buckets.emplace_back();
  bucket.members = std::move(members);
  release(bucket);
}

GradientReducer::GradientReducer(std::vector<at::Tensor> parameters, comm::Communicator& group, int64_t bucket_bytes,
                                 SumOrder order)
    : impl_(new Impl{
          .parameters = std::move(parameters), .bucket_of = {}, .buckets = {}, .group = group, .order = order}) {
  const std::vector<at::Tensor>& all = impl_->parameters;
  impl_->bucket_of.resize(all.size());
  // Backward reaches the last parameters first, so buckets fill from the end.
  std::vector<size_t> members;
  int64_t bytes = 0;
  for (size_t i = all.size(); i-- > 0;) {
    const int64_t size = static_cast<int64_t>(all[i].nbytes());
    const bool fits =
        bytes + size <= bucket_bytes && (members.empty() || all[members.back()].dtype() == all[i].dtype());
    if (!fits && !members.empty()) {
      impl_->add_bucket(std::exchange(members, {}));
      bytes = 0;
    }
    members.push_back(i);
    bytes += size;
  }
  if (!members.empty()) impl_->add_bucket(std::move(members));
  for (size_t i = 0; i < all.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(
        all[i], std::make_unique<ReadyHook>([impl = impl_.get(), i] { impl->gradient_ready(i); }));
  }
}

GradientReducer::~GradientReducer() {
  for (at::Tensor& parameter : impl_->parameters) {
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
    parameter.mutable_grad().reset();
  }
}

void GradientReducer::zero() {
  for (Bucket& bucket : impl_->buckets) impl_->release(bucket);
}

void GradientReducer::arm() {
  if (impl_->order == SumOrder::kTree) return;  // nothing can be sent before all slices have met in the tree
  for (Bucket& bucket : impl_->buckets) bucket.pending = bucket.members.size();
  impl_->next = impl_->overlapped = 0;
  impl_->armed = true;
}

void GradientReducer::end_slice() {
  for (Bucket& bucket : impl_->buckets) {
    impl_->gather(bucket);
    if (impl_->order == SumOrder::kAsTheyCome) continue;
    bucket.slices.add(std::exchange(bucket.flat, {}));
    impl_->release(bucket);
  }
}

void GradientReducer::finish() {
  impl_->armed = false;
  impl_->order == SumOrder::kTree ? impl_->add_ranks_in_tree() : impl_->finish_launched();
  for (size_t i = 0; i < impl_->parameters.size(); ++i) {
    const at::Tensor& gradient = impl_->parameters[i].grad();
    TORCH_CHECK(gradient.defined() && gradient.is_alias_of(impl_->buckets[impl_->bucket_of[i]].flat),
                "the gradient of a parameter was replaced: it must stay the reducer's view");
  }
}

size_t GradientReducer::buckets() const { return impl_->buckets.size(); }

size_t GradientReducer::launched_during_backward() const { return impl_->overlapped; }

}  // namespace acm::train
