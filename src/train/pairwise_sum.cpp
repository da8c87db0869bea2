#include "train/pairwise_sum.h"

#include <utility>

namespace acm::train {

void PairwiseSum::add(at::Tensor value) {
  Partial newest{1, std::move(value)};
  for (; !partials_.empty() && partials_.back().leaves == newest.leaves; partials_.pop_back())
    newest = {2 * newest.leaves, partials_.back().sum.add_(newest.sum)};
  partials_.push_back(std::move(newest));
}

at::Tensor PairwiseSum::take() {
  at::Tensor sum;
  for (; !partials_.empty(); partials_.pop_back())
    sum = sum.defined() ? partials_.back().sum.add_(sum) : partials_.back().sum;
  return sum;
}

}  // namespace acm::train
