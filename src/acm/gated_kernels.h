#pragma once

#include "acm/gated_execution.h"

namespace acm {

// The functions of gated_execution.h on the CPU, in float32 and without gradients. The order of the tokens, the copies
// of their rows and the bias with the activation are loops of our own, and nothing is allocated but the output and one
// scratch space for each block of tokens: at 197 tokens, tensor operations for the same steps take longer than the
// products.
bool gated_kernels_apply(const at::Tensor& tokens, const LearnerWeights& weights);
at::Tensor run_first_learners_by_kernels(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights);
at::Tensor run_chosen_learners_by_kernels(const at::Tensor& tokens, const at::Tensor& choice,
                                          const LearnerWeights& weights);

}  // namespace acm
