#pragma once

#include "acm/gated_execution.h"

namespace acm {

// Whether the function below can be used: float32 learners on a GPU, at most 16 of them. Else tensor operations do the
// same, and read and write several times as much.
bool prefixes_on_gpu(const at::Tensor& target, const LearnerWeights& weights);

// From what each learner gives without its bias, `outputs` float32 [learners, rows, width], and the target [rows,
// width], float32, bfloat16 or float16: in the place of outputs half the gradients of phase 1's sum of squares with
// respect to them (distillation_loss.h). Gives that sum, a float64 scalar on the GPU.
at::Tensor run_prefix_gradients_on_gpu(const at::Tensor& outputs, const at::Tensor& target, const at::Tensor& b2,
                                       bool nested);

}  // namespace acm
