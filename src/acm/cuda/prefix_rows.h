#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm {

inline constexpr int64_t kMostPrefixes = 16;

// What phase 1 needs of all prefixes of a site's learners, on a GPU. Row-major pointers there; b2 may be null.
struct PrefixRows {
  int64_t learners, rows, width;
  float* outputs;              // [learners, rows, width]: of each learner without its bias
  const float* b2;             // [learners, width]
  at::ScalarType target_type;  // float32, bfloat16 or float16
  const void* target;          // [rows, width]
};

// With E_n = the outputs of the first n learners - target: replaces outputs by half the gradients of the sum of all
// E_n^2 with respect to them, of E_n + E_n+1 + ... (nested) or E_n alone (greedy). squares float64 [square_parts]:
// parts of that sum. `stream`: a cudaStream_t, on which the work is put. Gives what CUDA says of that, or nullptr.
const char* prefix_gradients_on_gpu(const PrefixRows& pass, bool nested, double* squares, void* stream);
int64_t square_parts(const PrefixRows& pass);

}  // namespace acm
