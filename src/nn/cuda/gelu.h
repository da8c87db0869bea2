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

// GELU alone of a finite number: x Phi(x) = max(x, 0) - |x| Phi(-|x|), with the last factor as two to the power of a
// polynomial, which we fitted so that the product is off by at most 4.4e-7; with what float32 rounds off, all is off by
// at most 6.4e-7. Of its eight instructions one is of the unit for special functions, the slowest.
__device__ inline float gelu_value(float x) {
  const float y = fabsf(x);
  const float exponent =
      -1.0000376f +
      y * (-1.1507878f + y * (-0.45999265f + y * (-0.051827165f + y * (0.0070844594f - y * 0.00047329372f))));
  return fmaxf(x, 0.0f) - y * exp2f(exponent);
}

}  // namespace acm::nn
