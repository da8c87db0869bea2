#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace acm {

// Allocation labels (method.md 10.8): how to spend a budget best while errors add.

// For each token the count k in min_k..N that minimises errors[k] + cost * k, the smallest among equals: errors [rows,
// N + 1] -> int64 [rows]. errors: weight of the site times d(k)^2; cost: the price lambda times the cost of a learner.
at::Tensor allocation_labels(const at::Tensor& errors, double cost, int64_t min_k);

// The price in [0, highest] at which `spent` is the budget, by bisection; spent(price) is a share that falls, in steps,
// while the price rises. Where the steps leave a gap there, the lower of the shares around it; where even a price of 0
// spends less than the budget, 0.
double price_of_budget(const std::function<double(double)>& spent, double highest, double budget);

}  // namespace acm
