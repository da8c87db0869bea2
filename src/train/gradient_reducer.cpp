#include "train/gradient_reducer.h"

#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <functional>

#include "train/pairwise_sum.h"

namespace acm::train {
namespace {

struct Bucket {
  at::Tensor flat;                  // the gradients of its members, one after the other
  size_t members = 0, pending = 0;  // pending: not yet final in the backward that is running
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
  std::vector<at::Tensor> gradients;  // by parameter: its view into a bucket
  std::vector<size_t> bucket_of;      // by parameter
  std::vector<Bucket> buckets;
  comm::Communicator& group;
  const SumOrder order;
  size_t next = 0;  // the first bucket that was not launched: they launch in index order, the same on all ranks
  size_t overlapped = 0;
  bool armed = false;

  void add_bucket(const std::vector<size_t>& members);
  void launch_next() {
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
        mine = ranks.take();
      }
      bucket.flat.copy_(mine);
    }
  }
  void gradient_ready(size_t parameter) {
    if (!armed) return;
    size_t& pending = buckets[bucket_of[parameter]].pending;
    TORCH_CHECK(pending > 0, "a gradient arrived twice: arm() is for one backward");
    --pending;
    for (; next < buckets.size() && buckets[next].pending == 0; ++overlapped) launch_next();
  }
};

void GradientReducer::Impl::add_bucket(const std::vector<size_t>& members) {
  int64_t numel = 0;
  for (const size_t member : members) numel += parameters[member].numel();
  Bucket bucket;
  bucket.flat = at::zeros({numel}, parameters[members.front()].options().requires_grad(false));
  bucket.members = members.size();
  int64_t offset = 0;
  for (const size_t member : members) {
    at::Tensor& parameter = parameters[member];
    gradients[member] = bucket.flat.narrow(0, offset, parameter.numel()).view(parameter.sizes());
    parameter.mutable_grad() = gradients[member];
    offset += parameter.numel();
    bucket_of[member] = buckets.size();
  }
  buckets.push_back(std::move(bucket));
}

GradientReducer::GradientReducer(std::vector<at::Tensor> parameters, comm::Communicator& group, int64_t bucket_bytes,
                                 SumOrder order)
    : impl_(new Impl{.parameters = std::move(parameters),
                     .gradients = {},
                     .bucket_of = {},
                     .buckets = {},
                     .group = group,
                     .order = order}) {
  const std::vector<at::Tensor>& all = impl_->parameters;
  impl_->gradients.resize(all.size());
  impl_->bucket_of.resize(all.size());
  // Backward reaches the last parameters first, so buckets fill from the end.
  std::vector<size_t> members;
  int64_t bytes = 0;
  for (size_t i = all.size(); i-- > 0;) {
    const int64_t size = static_cast<int64_t>(all[i].nbytes());
    const bool fits =
        bytes + size <= bucket_bytes && (members.empty() || all[members.back()].dtype() == all[i].dtype());
    if (!fits && !members.empty()) {
      impl_->add_bucket(members);
      members.clear();
      bytes = 0;
    }
    members.push_back(i);
    bytes += size;
  }
  if (!members.empty()) impl_->add_bucket(members);
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
  for (Bucket& bucket : impl_->buckets) bucket.flat.zero_();
}

void GradientReducer::arm() {
  if (impl_->order == SumOrder::kTree) return;  // nothing can be sent before all slices have met in the tree
  for (Bucket& bucket : impl_->buckets) bucket.pending = bucket.members;
  impl_->next = impl_->overlapped = 0;
  impl_->armed = true;
}

void GradientReducer::end_slice() {
  if (impl_->order == SumOrder::kAsTheyCome) return;
  for (Bucket& bucket : impl_->buckets) {
    bucket.slices.add(bucket.flat.clone());
    bucket.flat.zero_();
  }
}

void GradientReducer::finish() {
  impl_->armed = false;
  impl_->order == SumOrder::kTree ? impl_->add_ranks_in_tree() : impl_->finish_launched();
  for (size_t i = 0; i < impl_->parameters.size(); ++i) {
    TORCH_CHECK(impl_->parameters[i].grad().is_same(impl_->gradients[i]),
                "the gradient of a parameter was replaced: it must stay the reducer's view");
  }
}

size_t GradientReducer::buckets() const { return impl_->buckets.size(); }

size_t GradientReducer::launched_during_backward() const { return impl_->overlapped; }

}  // namespace acm::train
