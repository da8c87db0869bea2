#pragma once

#include <functional>

#include "acm/gated_execution.h"
#include "acm/token_order.h"

namespace acm {

// The functions of gated_execution.h on the CPU, in float32 and without gradients. The order of the tokens, the copies
// of their rows and the bias with the activation are loops of our own, and nothing is allocated but the output and one
// scratch space for each block of tokens: at 197 tokens, tensor operations for the same steps take longer than the
// products.
bool gated_kernels_apply(const at::Tensor& tokens, const LearnerWeights& weights);
at::Tensor run_first_learners_by_kernels(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights);
at::Tensor run_chosen_learners_by_kernels(const at::Tensor& tokens, const at::Tensor& choice,
                                          const LearnerWeights& weights);

// What that is made of, for products in any numbers: `run` is called on some thread for each block of tokens with one
// learner or more, and writes their rows of the output; tokens without learners have zeros. Pointers are to the first
// row of tokens float32 [rows, width] and of the output, of the same shape.
using RunTokenBlock = std::function<void(const float* tokens, const TokenBlock& block, float* output)>;
at::Tensor run_token_blocks(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights,
                            const RunTokenBlock& run);

}  // namespace acm
