#pragma once

#include "acm/cuda/mixed_shape.h"

namespace acm {

// The steps of gated sites on a GPU between their two products. All pointers lie on the GPU; `stream` is a
// cudaStream_t, on which the work is put. Each function gives what CUDA says of that, or nullptr.

// The gates' second layers, float32 [sites, allowed, gate_hidden + 1] with the bias last, and how they choose.
struct MixedGates {
  const float* layer;
  const int64_t* noise_keys = nullptr;  // [sites, samples], of streams of uniform numbers; null: without noise
  int64_t tokens = 1;                   // of a sample
  float temperature = 1;
};
// What they choose: float32 [sites, rows, allowed], choice int64 [sites, rows].
struct MixedChoice {
  float *logits, *soft, *mixture;
  int64_t* choice;
};
// `logits`; with noise, `soft` = softmax((logits + Gumbel noise) / temperature) and `mixture` = 1 at the largest of
// these sums, else 0 (both null, or neither). choice = min_k + the class of the largest, the first among equals; one
// that is not a number counts as the largest. `before`: the gate's hidden units before the activation, `stride`
// numbers, a multiple of eight, from row to row and shape.columns() from site to site; hidden() numbers before it, 16
// bytes begin.
const char* decide_on_gpu(const MixedShape& shape, const MixedGates& gates, const void* before, int64_t stride,
                          int64_t rows, const MixedChoice& to, void* stream);

// scaled [rows, sites, columns] = the activation of what `before` has of the learners that were chosen, zeros of
// others, and in the place of the gate's units each learner's share, 1 or 0. May be `before` itself.
const char* scale_on_gpu(const MixedShape& shape, const void* before, const int64_t* choice, int64_t rows, void* scaled,
                         void* stream);

// What scale_backward_on_gpu adds up in parts: the gradient of a share over so many slices of its learner's units,
// those of biases over so many parts of the rows.
struct ScaleParts {
  int64_t slices, parts;
};
ScaleParts scale_parts(const MixedShape& shape, int64_t rows);
// From `gradients` [rows, sites, columns] with respect to scaled, in place, those with respect to the learners' part of
// `before`, and these summed over rows.
struct ScaleGradients {
  float* shares;  // [rows, sites, learners, slices]; with the first slice what `gradients` has at the share's own place
  float* biases;  // [parts, sites, hidden], of numbers that are not rounded yet
};
const char* scale_backward_on_gpu(const MixedShape& shape, void* gradients, const void* before, const int64_t* choice,
                                  int64_t rows, const ScaleGradients& to, void* stream);

// Rows whose sums decide_backward_on_gpu makes at once.
inline constexpr int64_t kDecideRows = 64;
// From gradients with respect to mixture (float32 [sites, rows, allowed]) and to the shares (as above), each null where
// there are none: those with respect to the gate's part of `before`, in the gate's place in `gradients` (what stands
// behind it is multiplied by weights of zero); and float32 sums [sites, ceil(rows / kDecideRows), allowed + 1,
// gate_hidden + 1] for each kDecideRows rows: the gradients of the second layer, its bias last, then those of the first
// layer's biases and a zero.
const char* decide_backward_on_gpu(const MixedShape& shape, const MixedGates& gates, const void* before,
                                   const float* soft, const float* mixture_gradients, const float* share_gradients,
                                   int64_t rows, void* gradients, float* sums, void* stream);

}  // namespace acm
