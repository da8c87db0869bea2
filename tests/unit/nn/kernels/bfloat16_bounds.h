#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>

#include <cmath>

namespace acm::nn::test {

// bfloat16 has 8 bits of significand, so that an operand is off by at most 2^-8 of itself and a product of two by 2^-7
// and 2^-16 of it. What float32 adds to that for the sums is below 2^-16 here.
inline constexpr double kProductError = 0x1p-7 + 0x1p-15;

// float64, element by element: by how much a b may be off where `error_of_a` is how much a is off already.
inline at::Tensor product_bound(const at::Tensor& a, const at::Tensor& b, const at::Tensor& error_of_a = {}) {
  const at::Tensor own = at::matmul(a.abs(), b.abs()) * kProductError;
  return error_of_a.defined() ? own + at::matmul(error_of_a, b.abs()) * (1 + kProductError) : own;
}

// The same for gelu(a w1 + b1) w2, or without gelu, where only the hidden units of `runs` (0 or 1) count. gelu's slope
// is at most 1.13.
struct TwoLayers {
  at::Tensor exact, bound;
};
inline TwoLayers two_layers(const at::Tensor& a, const at::Tensor& w1, const at::Tensor& b1, const at::Tensor& w2,
                            bool gelu, const at::Tensor& runs) {
  const at::Tensor before = at::matmul(a, w1) + b1, hidden = (gelu ? at::gelu(before) : before) * runs;
  const at::Tensor error = product_bound(a, w1) * (gelu ? 1.13 : 1.0) * runs;
  return {at::matmul(hidden, w2), product_bound(hidden, w2, error)};
}

}  // namespace acm::nn::test
