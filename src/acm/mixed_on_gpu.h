#pragma once

#include <c10/core/Device.h>

#include <span>
#include <vector>

#include "acm/gated_on_gpu.h"

namespace acm {

// Gated sites on a GPU where all their learners run, whether they were chosen or not: in phase 3, and without gradients
// where leaving learners out would save no time and products of our own (masked_on_gpu.h) do not fit. Two products
// carry a site (cuda/mixed_shape.h): the gate's first layer and the output biases stand in the matrices of the
// learners, so that neither tokens nor outputs are read once more for them, and the gradients of all come out of the
// same products. Up to three sites of equal shapes that read the same tokens share the first product. Under autocast in
// its type. Of sites that run together all must have equal shapes, and gates of equal settings.

// Whether the functions below may be used: tokens on a GPU and not in float64, a gate of two layers in float32, at most
// 16 counts to choose from. Else tensor operations do the same, slower.
bool mixes_on_gpu(const at::Tensor& tokens, const Gate& gate);

// What a training pass adds to what the gates say. keys int64 [sites, samples], on the GPU (nn::token_streams).
struct ChoiceNoise {
  at::Tensor keys;
  bool task_gradient;  // whether the outputs carry gradient to the gates
};
// tokens [samples, tokens, width]; of each site the learners' outputs, each times 1 or 0, with gradients to tokens,
// mixture and all weights.
std::vector<GatedPass> run_mixture_on_gpu(const at::Tensor& tokens, std::span<const GatedSite> sites,
                                          const ChoiceNoise& noise);

// Whether the function below is to be used in a pass without gradients: where a layer has few hidden units, as
// projections have, ordering its tokens (gated_on_gpu.h) would take longer than what it saves.
bool masks_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights, const Gate& gate);
// Without gradients and without noise; by products of our own where they fit. kept: the weights as
// the products read them. choices, of each site int64 [samples, tokens]: what is run in place of what the gates say.
std::vector<GatedPass> run_masked_on_gpu(const at::Tensor& tokens, std::span<const GatedSite> sites, KeptTensors& kept,
                                         const std::vector<at::Tensor>& choices = {});

// The gate alone, without gradients. kept: its layers as the GPU reads them.
Gate::Decision run_gate_on_gpu(const at::Tensor& tokens, const Gate& gate, int64_t min_k, KeptTensors& kept);

}  // namespace acm
