#pragma once

#include <ATen/core/Tensor.h>

#include "acm/activation.h"

namespace acm {

// The weights of one layer's learners, shaped as in AcmLayer.
struct LearnerWeights {
  at::Tensor w1, b1, w2, b2;  // b2 undefined without output bias
  int64_t learners;
  Activation activation;
};

// [learners, width]: what the first 1, 2, ... learners add without regard to the token; undefined without output bias.
at::Tensor bias_sums(const LearnerWeights& weights);

// h(z, count) of every token: one pair of products on the first count * b columns of w1 and rows of w2. tokens [rows,
// width] -> [rows, width].
at::Tensor run_first_learners(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights);

// h(z, choice) for each token by one pair of products per count: tokens are ordered by count, and the block of those
// with exactly k multiplies the first k b columns of w1 and rows of w2, so no learner runs that was not chosen. tokens
// [rows, width], choice int64 [rows] -> [rows, width].
at::Tensor run_chosen_learners(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights);

}  // namespace acm
