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

// GELU alone of a finite number, by formula 7.1.28 of the same book, off by at most 7.5e-7: one instruction of the unit
// for special functions, the slowest, in the place of two.
__device__ inline float gelu_value(float x) {
  const float y = fabsf(x);
  float power = 1.04427378f +
                y * (0.052075163f +
                     y * (0.0220769985f +
                          y * (0.00342273924f + y * (3.9686137e-05f + y * (5.1055209e-05f + y * 5.62129966e-06f)))));
  for (int i = 0; i < 4; ++i) power *= power;  // twice the sixteenth power of the formula's sum, at the end
  return fmaxf(x, 0.0f) - y * __fdividef(1.0f, power);
}

}  // namespace acm::nn
