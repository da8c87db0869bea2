#pragma once

#include <ATen/core/Tensor.h>

namespace acm {

// Sum of the squares of all elements, a float64 scalar on the tensor's device. On the CPU the order of the additions is
// fixed; at::sum over all elements splits them among the threads, so its bits would depend on how many there are.
at::Tensor ordered_sum_of_squares(const at::Tensor& values);

}  // namespace acm
