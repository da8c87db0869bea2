#include "acm/allocation_labels.h"

#include <ATen/ops/arange.h>

#include <cmath>

namespace acm {

at::Tensor allocation_labels(const at::Tensor& errors, double cost, int64_t min_k) {
  const int64_t learners = errors.size(1) - 1;
  TORCH_CHECK(learners >= 1 && min_k >= 0 && min_k <= learners,
              "labels need at least one learner and min_k in 0..learners");
  const at::Tensor counts = at::arange(min_k, learners + 1, errors.options());
  // The lowest index wins among equals in argmin.
  return (errors.narrow(1, min_k, learners + 1 - min_k) + counts * cost).argmin(1) + min_k;
}

double price_of_budget(const std::function<double(double)>& spent, double highest, double budget) {
  constexpr double kClose = 1e-5;     // a tenth of a thousandth of what a budget is reported with
  constexpr int kMostHalvings = 100;  // of what a double can tell apart
  if (spent(0) <= budget) return 0;
  double low = 0, high = highest;
  for (int i = 0; i < kMostHalvings; ++i) {
    const double middle = low + (high - low) / 2, share = spent(middle);
    if (std::abs(share - budget) <= kClose) return middle;
    (share > budget ? low : high) = middle;
  }
  return high;
}

}  // namespace acm
