#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace acm::nn {

// The first of the largest; one that is not a number counts as the largest.
template <int kAllowed>
__device__ int largest(const float (&values)[kAllowed], int64_t count) {
  int best = 0;
  float most = values[0];
#pragma unroll
  for (int i = 1; i < kAllowed; ++i) {
    if (i < count && (values[i] > most || (isnan(values[i]) && !isnan(most)))) {
      best = i;
      most = values[i];
    }
  }
  return best;
}

}  // namespace acm::nn
