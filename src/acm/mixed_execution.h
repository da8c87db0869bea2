#pragma once

#include <ATen/core/Tensor.h>

#include "acm/gated_execution.h"

namespace acm {

// The learners' outputs, each times its share for the token: sum over n of shares_n s_n(z), with gradients to tokens,
// shares and weights (method.md 1). One pair of products, as dear as the dense module: the hidden units of learner n
// are scaled by its share, and the gradient of a share is the inner product of the learner's hidden units with the
// gradient that reaches them. tokens [..., width], shares [..., learners] -> [..., width].
at::Tensor run_mixed_learners(const at::Tensor& tokens, const at::Tensor& shares, const LearnerWeights& weights);

}  // namespace acm
