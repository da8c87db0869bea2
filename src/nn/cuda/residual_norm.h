#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm::nn {

// LayerNorm after a residual sum, on a GPU. All pointers lie there, to rows of `width` numbers without gaps; `stream`
// is a cudaStream_t, on which the work is put. Each function gives what CUDA says of that, or nullptr.

inline constexpr int64_t kWidestNorm = 8192;

struct NormForward {
  int64_t rows, width;
  float eps;
  const float *tokens, *weight, *bias;  // weight, bias [width]
  const void* update;                   // in update_type: float32, bfloat16 or float16; nullptr: none
  at::ScalarType update_type;
  float* sum;  // tokens + update; nullptr where there is no update
  void* normalised;
  at::ScalarType normalised_type;
  float* statistics;  // [rows, 2]: the mean of a row, and one over its standard deviation
};
const char* norm_on_gpu(const NormForward& pass, void* stream);

struct NormBackward {
  int64_t rows, width;
  const float *sum, *statistics, *weight;  // as above
  const float* of_sum;                     // gradients; nullptr: none
  const void* of_normalised;
  at::ScalarType normalised_type;
  float* of_tokens;
  void* of_update;  // those of tokens in update_type; nullptr: not wanted
  at::ScalarType update_type;
  float* parts;  // [norm_parts(rows), 2, width]: sums to the gradients of weight and bias
};
const char* norm_backward_on_gpu(const NormBackward& pass, void* stream);

int64_t norm_parts(int64_t rows);

}  // namespace acm::nn
