#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include "acm/acm_layer.h"
#include "core/random.h"

namespace acm::test {

// Every learner on every token, those not chosen masked out.
inline at::Tensor masked_reference(const AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& choice) {
  const int64_t b = layer.shape().learner_width;
  at::Tensor output = at::zeros_like(tokens);
  for (int64_t n = 0; n < layer.shape().learners; ++n) {
    const at::Tensor before = at::matmul(tokens, layer.w1.narrow(1, n * b, b)) + layer.b1.narrow(0, n * b, b);
    const at::Tensor hidden = layer.shape().activation == Activation::kGelu ? at::gelu(before) : before;
    at::Tensor learner = at::matmul(hidden, layer.w2.narrow(0, n * b, b));
    if (layer.b2.defined()) learner = learner + layer.b2.select(0, n);
    output = output + learner * choice.gt(n).unsqueeze(1);
  }
  return output;
}

// int64 [rows]: a count in 0..learners for each.
inline at::Tensor random_choice(int64_t rows, int64_t learners, uint64_t seed) {
  at::Tensor choice = at::empty({rows}, at::kLong);
  for (int64_t row = 0; row < rows; ++row)
    choice[row] = static_cast<int64_t>(random_below(StreamKey(seed), static_cast<uint64_t>(row), learners + 1));
  return choice;
}

}  // namespace acm::test
