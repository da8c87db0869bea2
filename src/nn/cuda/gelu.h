#pragma once

#include <cuda_runtime.h>

namespace acm::nn {

// GELU and its slope share one exponential: the normal distribution by formula 26.2.17 of Abramowitz and Stegun, off by
// at most 7.5e-8. With erff and expf the kernels that use it took longer than memory does.
struct Gelu {
  float value, slope;
};
__device__ inline Gelu gelu(float x) {
  const float density = 0.39894228f * __expf(-0.5f * x * x), t = __fdividef(1.0f, 1.0f + 0.2316419f * fabsf(x));
  const float tail =
      density * t * (0.31938153f + t * (-0.356563782f + t * (1.781477937f + t * (-1.821255978f + t * 1.330274429f))));
  const float probability = x < 0 ? tail : 1 - tail;
  return {x * probability, probability + x * density};
}

}  // namespace acm::nn
