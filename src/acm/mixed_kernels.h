#pragma once

#include <ATen/core/Tensor.h>

#include "acm/learner_kernels.h"

namespace acm {

// run_mixed_learners on the CPU in float32. tokens [rows, width], shares [rows, learners], packed.

// values and slopes [rows, hidden]: the activation and its derivative (undefined for the identity), for the gradients.
struct MixedPass {
  at::Tensor output, values, slopes;
};
MixedPass mixed_by_kernels(const at::Tensor& tokens, const at::Tensor& shares, const LearnerWeights& weights);

struct MixedGradients {
  at::Tensor tokens, shares;
  LearnerGradients learners;
};
// of_output [rows, width]: the gradient with respect to the output.
MixedGradients mixed_gradients_by_kernels(const at::Tensor& tokens, const at::Tensor& shares,
                                          const LearnerWeights& weights, const MixedPass& pass,
                                          const at::Tensor& of_output);

}  // namespace acm
