#pragma once

#include "acm/gated_execution.h"

namespace acm {

// run_mixed_learners on a GPU, by one kernel of our own between the two products and one between their gradients, where
// separate operations would read and write the hidden units thirteen times; under autocast in its type. tokens [rows,
// width], shares [rows, learners], in anything but float64.
at::Tensor run_mixed_learners_on_gpu(const at::Tensor& tokens, const at::Tensor& shares, const LearnerWeights& weights);

}  // namespace acm
