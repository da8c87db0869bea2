#pragma once

#include "acm/gated_execution.h"

namespace acm {

// Whether these learners multiply in bfloat16 (nn/kernels/bfloat16_layers.h): their matrices are of that type.
bool in_bfloat16(const LearnerWeights& weights);

// The functions of gated_execution.h for such learners: on the CPU, tokens and biases in float32, without gradients.
at::Tensor run_first_learners_in_bfloat16(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights);
at::Tensor run_chosen_learners_in_bfloat16(const at::Tensor& tokens, const at::Tensor& choice,
                                           const LearnerWeights& weights);

}  // namespace acm
