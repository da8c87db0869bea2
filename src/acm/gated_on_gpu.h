#pragma once

#include "acm/gate.h"
#include "acm/gated_execution.h"
#include "acm/kept_tensors.h"

namespace acm {

struct GatedSite {
  LearnerWeights weights;
  const Gate& gate;
  int64_t min_k;
};
struct GatedPass {
  at::Tensor output;   // [samples, tokens, width]
  at::Tensor logits;   // float32 [samples, tokens, allowed], without gradient
  at::Tensor mixture;  // float32 [samples, tokens, allowed], as straight_through_choice has it; undefined without noise
  at::Tensor choice;   // int64 [samples, tokens]
};

// Whether the functions below are to be used: on a GPU, without gradients, and where a layer has so many hidden units
// that ordering its tokens is faster than to run all learners (mixed_on_gpu.h). That depends on shape and type alone,
// so that one machine gives the same numbers each time.
bool orders_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights);

// run_chosen_learners by kernels of our own; under autocast in its type. Tokens are ordered by count and only chosen
// learners run: in bfloat16 on a GPU of compute capability 9.0 by products of our own (cuda/gated_products.h), where a
// token of an impossible count gets NaN; else by LibTorch's, for which the host waits once, for the number of tokens of
// each count, while the GPU puts the tokens in their order. kept: the weights in that type.
at::Tensor run_chosen_learners_on_gpu(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights,
                                      KeptTensors& kept);

// A gate and what it chooses, or the learners that `choice` (int64 [samples, tokens]) says in the place of that. Where
// products of our own run and the gate has two layers and few units, it is one kernel with what puts tokens in order;
// its sums are then float32, where run_gate_on_gpu() and phase 3 round hidden units to the products' type.
GatedPass run_gated_on_gpu(const at::Tensor& tokens, const GatedSite& site, KeptSite& kept,
                           const at::Tensor& choice = {});

}  // namespace acm
