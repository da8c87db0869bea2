#include "nn/kernels/vector_math.h"

#include <bit>
#include <cmath>

#include "core/processor_variants.h"

namespace acm::nn {
namespace {

// e^x for -80 <= x <= 0: x = n log 2 + r with |r| <= log(2) / 2, and the Taylor series of e^r with its coefficients
// spread (relative error 1.2e-7). Adding 1.5 * 2^23 rounds to a whole number, which the lowest bits of the sum then
// hold.
[[gnu::always_inline]] inline float exponential(float x) {
  constexpr float kRounder = 12582912.0f;
  const float shifted = x * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // log 2 in two parts, the first exact in few bits
  float sum = 1.3981999507e-3f + r * 1.9875691500e-4f;
  sum = sum * r + 8.3334519073e-3f;
  sum = sum * r + 4.1665795894e-2f;
  sum = sum * r + 1.6666665459e-1f;
  sum = sum * r + 5.0000001201e-1f;
  sum = sum * r * r + r + 1.0f;
  return sum * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3f800000u);
}

// 1 - Phi(a) for a >= 0: e^(-a^2 / 2) times a polynomial in t = 1 / (1 + 0.26 a), the form of Abramowitz and
// Stegun 26.2.17. The coefficients are the weighted minimax fit of degree 7 for 0 <= a <= 8: relative error 3.1e-7.
// Beyond 12.6 it is 0.
[[gnu::always_inline]] inline float upper_tail(float a) {
  const float exponent = -0.5f * a * a;
  const float t = 1.0f / (1.0f + 0.26f * a);
  float sum = 0.23812869f - 0.07535363f * t;
  sum = sum * t - 0.12056269f;
  sum = sum * t + 0.17760232f;
  sum = sum * t + 0.06854015f;
  sum = sum * t + 0.10821815f;
  sum = sum * t + 0.10342698f;
  return sum * t * (exponent < -80.0f ? 0.0f : exponential(exponent));
}

[[gnu::always_inline]] inline float gelu_of(float x) {
  const float tail = upper_tail(std::fabs(x));
  return x * (x < 0 ? tail : 1.0f - tail);
}

}  // namespace

ACM_PROCESSOR_VARIANTS
void add_bias_and_gelu(float* __restrict values, const float* __restrict bias, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, values += columns) {
    for (int64_t i = 0; i < columns; ++i) values[i] = gelu_of(values[i] + bias[i]);
  }
}

ACM_PROCESSOR_VARIANTS
void gelu(float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = gelu_of(values[i]);
}

ACM_PROCESSOR_VARIANTS
void add_bias(float* __restrict values, const float* __restrict bias, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, values += columns) {
    for (int64_t i = 0; i < columns; ++i) values[i] += bias[i];
  }
}

ACM_PROCESSOR_VARIANTS
void exponentials(float* __restrict values, float* __restrict sums, float scale, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, values += columns) {
    float largest = values[0];
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < columns; ++i) largest = values[i] > largest ? values[i] : largest;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < columns; ++i) {
      const float exponent = scale * (values[i] - largest);
      const float value = exponent < -80.0f ? 0.0f : exponential(exponent);
      values[i] = value;
      sum += value;
    }
    sums[row] = sum;
  }
}

}  // namespace acm::nn
