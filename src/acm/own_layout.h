#pragma once

#include <vector>

#include "acm/cuda/learner_shape.h"
#include "acm/cuda/token_gates.h"
#include "acm/gate.h"
#include "acm/gated_execution.h"

namespace acm {

// Parameters as our own products and gates on GPUs of compute capability 9.0 read them.

LearnerShape shape_of(const LearnerWeights& weights);
// weight [in, out]: [out, in], rows in the order of nn::kRowGroup.
at::Tensor grouped(const at::Tensor& weight);

// Whether choose_on_gpu() can run it: two layers, few hidden units, float32.
bool has_own_kernel(const Gate& gate);
// w1, b1 and layer of GateOfTokens.
std::vector<at::Tensor> laid_out(const Gate& gate);
// made: laid_out(), or what stands behind one another of several gates; likewise logits [gates, ..., allowed] and
// choice [gates, ...].
GateOfTokens gate_of_tokens(const Gate& gate, int64_t min_k, const at::Tensor* made, const at::Tensor& logits,
                            const at::Tensor& choice);

}  // namespace acm
