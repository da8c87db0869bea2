#pragma once

#include <c10/core/ScalarType.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstdint>

#include "nn/cuda/chunk.h"

namespace acm::nn {

// Calls run with a number of the type. What it gives is what CUDA says of a launch, or nullptr.
template <class Run>
const char* by_scalar_type(at::ScalarType type, Run run) {
  switch (type) {
    case at::kFloat:
      return run(0.0f);
    case at::kBFloat16:
      return run(c10::BFloat16());
    case at::kHalf:
      return run(c10::Half());
    default:
      return "numbers must be float32, bfloat16 or float16";
  }
}

// Calls run with a chunk of 16 bytes where so many numbers consist of such, else with a single number. Tensors begin at
// multiples of 16 bytes, and so do rows of whole chunks.
template <class Number, class Run>
const char* by_chunks(int64_t numbers, Run run) {
  constexpr int kMost = 16 / sizeof(Number);
  if (numbers % kMost == 0) return run(Chunk<Number, kMost>{});
  return run(Chunk<Number, 1>{});
}

}  // namespace acm::nn
