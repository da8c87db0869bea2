#include "phases/calibrated_start.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include "acm/cost.h"
#include "acm/gate_shift.h"
#include "core/json.h"
#include "phases/shift_search.h"

namespace acm::phases {
namespace {

constexpr double kTolerance = 1e-3;  // the batches of the first steps differ by more

// Learners run by all tokens at each site, then tokens: int64 [sites + 1].
at::Tensor chosen_and_tokens(const SliceStatistics& statistics) {
  const auto& counts = statistics.counts;
  const auto chosen = (counts.sum(0) * at::arange(counts.size(2), counts.options())).sum(1).to(at::kLong);
  return at::cat({chosen, statistics.token_counts.sum().reshape({1})});
}

}  // namespace

void calibrate_start(nn::Backbone& model, double budget, const std::function<std::vector<SliceStatistics>()>& sample,
                     comm::Communicator& group, Log& log) {
  const at::NoGradGuard no_grad;
  const auto costs = cost_model(model);
  GateShift gates(model);
  const auto share_at = [&](double shift) {
    gates.set(shift);
    at::Tensor sums;
    for (const auto& statistics : sample()) {
      const auto part = chosen_and_tokens(statistics);
      sums = sums.defined() ? sums + part : part;
    }
    sums = sums.cpu();
    group.all_reduce(sums, comm::ReduceOp::kSum)->wait();
    const int64_t sites = sums.numel() - 1;
    return learner_share(costs, sums.narrow(0, 0, sites), sums[sites].item<int64_t>());
  };
  ShiftSearch search(share_at, kTolerance);
  const auto found = search.find(budget);
  gates.set(found.shift);
  if (group.is_root())
    log.info("calibrated start: gates shifted by " + Json(found.shift).dump() + " sample a share of " +
             Json(found.share).dump() + " of the learners' cost, for a budget of " + Json(budget).dump());
}

}  // namespace acm::phases
