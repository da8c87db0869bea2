#pragma once

#include <cstdint>

#include "core/quotient.h"

namespace acm {

// Gates of two layers on a GPU of compute capability 9.0, tokens and weights of the first layer in bfloat16. All
// pointers lie on the GPU.

inline constexpr int64_t kMostGateUnits = 32, kMostTokenWidth = 3072, kMostTokens = int64_t{1} << 24;

struct GateOfTokens {
  int64_t units, allowed, min_k;
  bool gelu;           // else the identity
  const void* w1;      // bfloat16 [padded_units(units), width], zeros behind the units
  const float* b1;     // [units]
  const float* layer;  // [allowed, units + 1]: the second layer with its bias last
  float* logits;       // [tokens, allowed]
  int64_t* choice;  // [tokens]: min_k + the class of the largest logit; one that is not a number counts as the largest
};
constexpr int64_t padded_units(int64_t units) { return quotient_up(units, int64_t{8}) * 8; }

// tokens: bfloat16 [rows, width], from a multiple of 16 bytes on; 1 to kMostTokens of them, width a multiple of 32 and
// at most kMostTokenWidth. `gate`: so many gates of the same sizes, of 1 to kMostGateUnits units, whose numbers stand
// behind one another in each of its pointers. Each token is read once. Puts the work on the stream, a cudaStream_t, and
// gives what CUDA says of that, or nullptr.
const char* choose_on_gpu(const void* tokens, int64_t rows, int64_t width, const GateOfTokens& gate, int64_t gates,
                          void* stream);

}  // namespace acm
