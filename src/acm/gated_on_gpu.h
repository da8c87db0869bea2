#pragma once

#include "acm/gated_execution.h"

namespace acm {

// run_chosen_learners on a GPU, without gradients, by kernels of our own around LibTorch's products; under autocast in
// its type. Where a layer has many hidden units, tokens are ordered by count and only chosen learners run, and the host
// waits once, for the number of tokens of each count. Where it has few, as projections have, moving the rows would take
// longer than what it saves: all learners run, what was not chosen is set to zero, and nobody waits. Which of the two
// depends on shape and type alone, so that the same numbers come out everywhere.
at::Tensor run_chosen_learners_on_gpu(const at::Tensor& tokens, const at::Tensor& choice,
                                      const LearnerWeights& weights);

// best_class of gate.h on a GPU. logits float32 [..., classes] -> int64 without the last axis.
at::Tensor best_class_on_gpu(const at::Tensor& logits, int64_t least);

}  // namespace acm
