#include "phases/site_weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "acm/ordered_sum.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "data/loader.h"
#include "phases/model_fit.h"
#include "phases/single_thread.h"

namespace acm::phases {
namespace {

constexpr int64_t kSamplesAtOnce = 16;  // bounds the memory of what sites recall; fixed, so that sums have one order

// Stands at a site of the teacher. It teaches (computes as the dense module and remembers its outputs), recalls them,
// so that nothing before a replaced site is computed again, runs learners instead, or computes and forgets.
class Probe final : public nn::TokenModule {
 public:
  enum class Does { kTeach, kRecall, kReplace, kPass };
  Probe(std::shared_ptr<nn::TokenModule> dense, AcmLayer* layer) : dense_(std::move(dense)), layer_(layer) {}

  at::Tensor forward(const at::Tensor& tokens, nn::TokenContext& context) override {
    if (does == Does::kRecall) return outputs_;
    if (does == Does::kPass) return dense_->forward(tokens, context);
    if (does == Does::kTeach) return outputs_ = dense_->forward(tokens, context);
    const auto replaced = layer_->forward(tokens, context);
    const auto error = replaced - outputs_;
    squared_error =
        ordered_sum_of_squares(context.valid.defined() ? error * context.valid.unsqueeze(-1) : error).item<double>();
    return replaced;
  }
  int64_t macs_per_token() const override { return dense_->macs_per_token(); }

  Does does = Does::kPass;
  double squared_error = 0;  // of the last replacement, over valid tokens

 private:
  std::shared_ptr<nn::TokenModule> dense_;
  AcmLayer* layer_;
  at::Tensor outputs_;
};

// Sum over samples of KL(teacher, other), of distributions given by logits [samples, ..., classes].
double divergence(const at::Tensor& teacher, const at::Tensor& other) {
  const SingleThreadInFloat64 one_thread(at::kDouble);
  const auto expected = teacher.to(at::kDouble).log_softmax(-1), found = other.to(at::kDouble).log_softmax(-1);
  const auto each = (expected.exp() * (expected - found)).sum(-1).cpu().contiguous();
  const double* values = each.const_data_ptr<double>();
  return std::accumulate(values, values + each.numel(), 0.0);
}

// The dense teacher with a probe at every site.
class ProbedTeacher {
 public:
  ProbedTeacher(const Run& run, const std::vector<AcmSite>& sites) : run_(run), model_(load_teacher(run)) {
    auto& backbone = *model_.backbone;
    backbone.to(run.device, run.settings.dtype());
    backbone.eval();
    for (const auto& site : backbone.sites()) {
      const auto acm = std::ranges::find(sites, site.name, [](const AcmSite& acm) { return acm.site->name; });
      AcmLayer* layer = acm == sites.end() ? nullptr : acm->layer;
      auto dense = std::dynamic_pointer_cast<nn::TokenModule>(backbone.at(site).shared_from_this());
      probes_.push_back(std::make_shared<Probe>(std::move(dense), layer));
      backbone.replace(site, probes_.back());
    }
    half_ = std::max<int64_t>(1, sites.front().layer->shape().learners / 2);
  }

  // Takes the next samples: the teacher's outputs for them, which sites recall.
  void teach(const data::Batch& batch) {
    batch_ = batch;
    for (auto& probe : probes_) probe->does = Probe::Does::kTeach;
    taught_ = forward();
  }
  struct Effect {
    double divergence = 0, squared_error = 0;  // sums over the samples; over their tokens
  };
  Effect replace(size_t site) {
    for (size_t i = 0; i < probes_.size(); ++i) probes_[i]->does = i < site ? Probe::Does::kRecall : Probe::Does::kPass;
    probes_[site]->does = Probe::Does::kReplace;
    const auto outputs = forward();
    return {divergence(taught_, outputs), probes_[site]->squared_error};
  }
  int64_t tokens() const { return model_.backbone->token_counts(batch_).sum().item<int64_t>(); }

 private:
  at::Tensor forward() {
    const SingleThreadInFloat64 guard(run_.settings.dtype());
    nn::TokenContext context;
    context.positions = batch_.positions;
    context.choice = half_;
    return model_.backbone->forward(batch_, context);
  }

  const Run& run_;
  Model model_;
  std::vector<std::shared_ptr<Probe>> probes_;
  int64_t half_;
  data::Batch batch_;
  at::Tensor taught_;
};

// Weights of the sites that fell to this rank, 0 for the others.
at::Tensor measure_mine(const Run& run, const std::vector<AcmSite>& sites, int64_t samples) {
  const at::NoGradGuard no_grad;
  ProbedTeacher teacher(run, sites);
  const data::Schedule schedule(run.train_data.size(), kSamplesAtOnce, run.key().with("capture"));
  std::vector<ProbedTeacher::Effect> sums(sites.size());
  const auto mine = [&](size_t site) { return static_cast<int>(site) % run.ranks() == run.rank(); };
  int64_t tokens = 0;
  const auto ranges = data::ranges_of(samples, kSamplesAtOnce);
  data::RangeLoader loader(run.train_data, schedule, run.key().with("augmentation"), ranges, run.fetching);
  for (const auto& range : ranges) {
    teacher.teach(loader.next());
    tokens += teacher.tokens();
    for (size_t i = 0; i < sites.size(); ++i) {
      if (!mine(i)) continue;
      const auto effect = teacher.replace(sites[i].index);
      sums[i].divergence += effect.divergence;
      sums[i].squared_error += effect.squared_error;
    }
    run.progress.report({.phase = "site weights", .done = range.end, .total = samples, .unit = "samples"});
  }
  run.progress.finish("site weights");

  auto weights = at::zeros({static_cast<int64_t>(sites.size())}, at::kDouble);
  for (size_t i = 0; i < sites.size(); ++i) {
    const double divergence = sums[i].divergence / static_cast<double>(samples),
                 error = sums[i].squared_error / static_cast<double>(tokens);
    if (!std::isfinite(divergence) || !std::isfinite(error))
      throw Error(Fault::kInternal, "cannot weigh the site " + sites[i].site->name +
                                        ": the teacher with the learners of this one site gives outputs that are not "
                                        "finite; look at the learners of phase 1 and at the data");
    weights[static_cast<int64_t>(i)] = error > 0 ? divergence / error : 0;
  }
  return weights;
}

}  // namespace

at::Tensor measure_site_weights(const Run& run, const std::vector<AcmSite>& sites, int64_t samples) {
  const Stopwatch watch;
  run.log.info("measuring what an error at each of " + std::to_string(sites.size()) + " sites costs, on " +
               std::to_string(samples) + " samples");
  at::Tensor weights;
  comm::together(run.groups.control, [&] { weights = measure_mine(run, sites, samples); });
  run.groups.control.all_reduce(weights, comm::ReduceOp::kSum)->wait();
  const auto positive = weights.masked_select(weights.gt(0));
  run.log.info("measured the weights of the sites in " + std::to_string(std::lround(watch.seconds())) + " s; " +
               std::to_string(weights.numel() - positive.numel()) + " of them do not reach the outputs");
  if (positive.numel() == 0) {
    run.log.warn("no site reaches the outputs, as behind a new head of zeros: all weigh the same in the labels");
    return at::ones_like(weights);
  }
  return at::where(weights.gt(0), weights, positive.min());
}

}  // namespace acm::phases
