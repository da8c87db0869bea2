#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm {

// The steps of mixed execution that are not products, on a GPU. All pointers lie there; `stream` is a cudaStream_t, on
// which the work is put. Each function gives what CUDA says of that, or nullptr.

// Rows of hidden units, [rows, learners, learner_width] without gaps, in `type`: float32, bfloat16 or float16.
struct HiddenRows {
  at::ScalarType type;
  int64_t rows, learners, learner_width;
  bool gelu;  // the activation; else the identity
};

// scaled = the activation of `before`, times the share of each learner. shares float32 [rows, learners].
const char* scale_on_gpu(const HiddenRows& shape, const void* before, const float* shares, void* scaled, void* stream);

// From `gradients` with respect to scaled, in place, those with respect to `before`; share_gradients float32 [rows,
// learners].
const char* scale_backward_on_gpu(const HiddenRows& shape, void* gradients, const void* before, const float* shares,
                                  float* share_gradients, void* stream);

}  // namespace acm
