#pragma once

#include "acm/cuda/mixed_shape.h"

namespace acm {

// A gate of few hidden units on a GPU: it chooses in one reading of its tokens. All pointers but those of `stream`, a
// cudaStream_t, lie there. Gives what CUDA says of the launch, or nullptr.
inline constexpr int64_t kMostGateUnits = 8;

struct GateRows {
  const void *tokens, *w1;  // shape.type: [rows, width], [gate_hidden, width]
  const float* b1;          // [gate_hidden]
  const float* layer;       // the second layer: [allowed, gate_hidden + 1] with the bias last
  float* logits;            // [rows, allowed]
  int64_t* choice;          // [rows]: min_k + the class of the largest, as decide_on_gpu gives it
};
// One site; gate_hidden <= kMostGateUnits.
const char* gate_on_gpu(const MixedShape& shape, const GateRows& gate, int64_t rows, void* stream);

}  // namespace acm
