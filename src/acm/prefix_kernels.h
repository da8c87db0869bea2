#pragma once

#include <ATen/core/Tensor.h>

#include "acm/learner_kernels.h"

namespace acm {

// What needs the outputs of all prefixes h(z, 1) .. h(z, N), on the CPU in float32, of which no more than a chunk of
// rows is ever stored. tokens and target [rows, width], packed, both float32, float16 or bfloat16: what is narrow is
// widened block by block.

// Whether these kernels compute what is asked for.
bool prefix_kernels_apply(const at::Tensor& tokens, const at::Tensor& target, const LearnerWeights& weights);

// The sum of (h(z, n) - target)^2 over n = 1..N, rows and elements, and half its gradients (method.md 1); nested: of
// the whole prefix sums, otherwise greedy.
struct PrefixLoss {
  double squares = 0;
  LearnerGradients half_gradients;
};
PrefixLoss prefix_loss_by_kernels(const at::Tensor& tokens, const at::Tensor& target, const LearnerWeights& weights,
                                  bool nested);

// ||h(z, n) - target|| for n = 0..N: [rows, N + 1].
at::Tensor prefix_distances_by_kernels(const at::Tensor& tokens, const at::Tensor& target,
                                       const LearnerWeights& weights);

}  // namespace acm
