#include "nn/kernels/vector_math.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/processor_variants.h"

namespace acm::nn {
namespace {

constexpr float kLog2OfE = 1.44269504f, kLeastPower = -115.0f;

// 2^x for kLeastPower <= x <= 0: x = n + r with |r| <= 1/2, and the minimax polynomial of degree 5 of 2^r (relative
// error 9.1e-8, and 1.6e-7 with its rounding), to whose exponent n is added. Adding 1.5 * 2^23 rounds to a whole
// number, which the lowest bits of the sum then hold.
[[gnu::always_inline]] inline float power_of_two(float x) {
  constexpr float kRounder = 12582912.0f;
  const float shifted = x + kRounder, r = x - (shifted - kRounder);
  float sum = 9.6715126e-3f + r * 1.3264727e-3f;
  sum = sum * r + 5.5507337e-2f;
  sum = sum * r + 2.4022242e-1f;
  sum = sum * r + 6.9314698e-1f;
  sum = sum * r + 1.0f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(sum) + (std::bit_cast<uint32_t>(shifted) << 23));
}

// 1 - Phi(a) for a >= 0: e^(-a^2 / 2), which is given, times a polynomial in t = 1 / (1 + 0.26 a), the form of
// Abramowitz and Stegun 26.2.17. The coefficients are the weighted minimax fit of degree 7 for 0 <= a <= 8: relative
// error 3.1e-7.
[[gnu::always_inline]] inline float upper_tail(float a, float bell) {
  const float t = 1.0f / (1.0f + 0.26f * a);
  float sum = 0.23812869f - 0.07535363f * t;
  sum = sum * t - 0.12056269f;
  sum = sum * t + 0.17760232f;
  sum = sum * t + 0.06854015f;
  sum = sum * t + 0.10821815f;
  sum = sum * t + 0.10342698f;
  return sum * t * bell;
}

// e^(-x^2 / 2); 0 beyond 12.6.
[[gnu::always_inline]] inline float bell_of(float x) {
  const float exponent = -0.5f * kLog2OfE * (x * x);
  return exponent < kLeastPower ? 0.0f : power_of_two(exponent);
}

// The normal distribution's share below x.
[[gnu::always_inline]] inline float share_below(float x, float bell) {
  const float tail = upper_tail(std::fabs(x), bell);
  return x < 0 ? tail : 1.0f - tail;
}

[[gnu::always_inline]] inline float gelu_of(float x) { return x * share_below(x, bell_of(x)); }

template <int kLanes>
using Vector [[gnu::vector_size(4 * kLanes)]] = float;

// Joins all lanes, half of them at a time; `join` joins its second argument to its first.
template <int kLanes, typename Join>
[[gnu::always_inline]] inline float joined_lanes(const Vector<kLanes>& lanes, Join join) {
  if constexpr (kLanes == 1) {
    return lanes[0];
  } else {
    Vector<kLanes / 2> halves[2];
    std::memcpy(halves, &lanes, sizeof(lanes));
    join(halves[0], halves[1]);
    return joined_lanes<kLanes / 2>(halves[0], join);
  }
}

// Joins what is taken of all values, many at a time: `take` joins that of its second argument to its first. A loop with
// a reduction would make one vector of it, each step of which waits for the one before, and sum its lanes one by one.
template <typename Take, typename Join>
[[gnu::always_inline]] inline float joined(const float* values, int64_t count, float start, Take take, Join join) {
  constexpr int kLanes = 16, kVectors = 4;
  Vector<kLanes> vectors[kVectors], next;
  for (auto& vector : vectors) vector = Vector<kLanes>{} + start;
  int64_t i = 0;
  for (; i + kVectors * kLanes <= count; i += kVectors * kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      std::memcpy(&next, values + i + v * kLanes, sizeof(next));
      take(vectors[v], next);
    }
  }
  for (; i + kLanes <= count; i += kLanes) {
    std::memcpy(&next, values + i, sizeof(next));
    take(vectors[0], next);
  }
  for (int v = kVectors - 1; v > 0; --v) join(vectors[v - 1], vectors[v]);
  float all = joined_lanes<kLanes>(vectors[0], join);
  for (; i < count; ++i) take(all, values[i]);
  return all;
}

[[gnu::always_inline]] inline float largest_of(const float* values, int64_t count) {
  const auto larger = [](auto& all, const auto& next) { all = next > all ? next : all; };
  return joined(values, count, -std::numeric_limits<float>::infinity(), larger, larger);
}

[[gnu::always_inline]] inline float sum_of(const float* values, int64_t count) {
  const auto add = [](auto& all, const auto& next) { all += next; };
  return joined(values, count, 0, add, add);
}

// Of the squares of what the values are more than `mean`.
[[gnu::always_inline]] inline float sum_of_squares_beyond(float mean, const float* values, int64_t count) {
  const auto add = [](auto& all, const auto& next) { all += next; };
  return joined(
      values, count, 0, [mean](auto& all, const auto& next) { all += (next - mean) * (next - mean); }, add);
}

}  // namespace

ACM_PROCESSOR_VARIANTS
void add_bias_and_gelu(float* __restrict values, const float* __restrict bias, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, values += columns) {
    for (int64_t i = 0; i < columns; ++i) values[i] = gelu_of(values[i] + bias[i]);
  }
}

ACM_PROCESSOR_VARIANTS
void add_bias_and_gelu_with_slopes(float* __restrict values, float* __restrict slopes, const float* __restrict bias,
                                   int64_t rows, int64_t columns) {
  constexpr float kDensityAtZero = 0.39894228f;  // 1 / sqrt(2 pi)
  for (int64_t row = 0; row < rows; ++row, values += columns, slopes += columns) {
    for (int64_t i = 0; i < columns; ++i) {
      const float x = values[i] + bias[i], bell = bell_of(x), share = share_below(x, bell);
      values[i] = x * share;
      slopes[i] = share + x * (kDensityAtZero * bell);
    }
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
void divide_rows(float* __restrict values, const float* __restrict divisors, int64_t rows, int64_t columns,
                 int64_t stride) {
  for (int64_t row = 0; row < rows; ++row, values += stride) {
    const float factor = 1.0f / divisors[row];
    for (int64_t i = 0; i < columns; ++i) values[i] *= factor;
  }
}

ACM_PROCESSOR_VARIANTS
void multiply_elements(float* __restrict values, const float* __restrict factors, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] *= factors[i];
}

ACM_PROCESSOR_VARIANTS
void add_column_sums(float* __restrict sums, const float* __restrict values, int64_t rows, int64_t columns,
                     int64_t stride) {
  for (int64_t row = 0; row < rows; ++row, values += stride) {
    for (int64_t i = 0; i < columns; ++i) sums[i] += values[i];
  }
}

ACM_PROCESSOR_VARIANTS
void prefix_errors(float* __restrict parts, const float* __restrict target, float* __restrict squares, int64_t learners,
                   int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t n = 0; n < learners; ++n) {
      float* errors = parts + (n * rows + row) * columns;
      const float* before = n == 0 ? target + row * columns : errors - rows * columns;
      const float sign = n == 0 ? -1.0f : 1.0f;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < columns; ++i) {
        const float error = sign * before[i] + errors[i];
        errors[i] = error;
        sum += error * error;
      }
      squares[row * learners + n] = sum;
    }
  }
}

ACM_PROCESSOR_VARIANTS
void scale_parts(const float* __restrict values, const float* __restrict factors, float* __restrict scaled,
                 int64_t rows, int64_t parts, int64_t columns) {
  for (int64_t part = 0; part < rows * parts; ++part, values += columns, scaled += columns) {
    for (int64_t i = 0; i < columns; ++i) scaled[i] = values[i] * factors[part];
  }
}

ACM_PROCESSOR_VARIANTS
void scale_parts_backward(float* __restrict gradients, const float* __restrict values, const float* __restrict slopes,
                          const float* __restrict factors, float* __restrict factor_gradients, int64_t rows,
                          int64_t parts, int64_t columns) {
  for (int64_t part = 0; part < rows * parts; ++part, gradients += columns, values += columns) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < columns; ++i) sum += gradients[i] * values[i];
    factor_gradients[part] = sum;
    const float factor = factors[part];
    for (int64_t i = 0; i < columns; ++i) gradients[i] *= factor;
    if (slopes == nullptr) continue;
    for (int64_t i = 0; i < columns; ++i) gradients[i] *= slopes[i];
    slopes += columns;
  }
}

ACM_PROCESSOR_VARIANTS
float sum_of_squares(const float* values, int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += values[i] * values[i];
  return sum;
}

ACM_PROCESSOR_VARIANTS
void suffix_sums(float* parts, int64_t learners, int64_t count) {
  for (int64_t n = learners - 2; n >= 0; --n) {
    float* __restrict sums = parts + n * count;
    const float* __restrict after = sums + count;
    for (int64_t i = 0; i < count; ++i) sums[i] += after[i];
  }
}

ACM_PROCESSOR_VARIANTS
void exponentials(float* __restrict values, float* __restrict sums, float scale, int64_t rows, int64_t columns,
                  int64_t stride) {
  const float factor = scale * kLog2OfE;
  for (int64_t row = 0; row < rows; ++row, values += stride) {
    for (int64_t i = columns; i < stride; ++i) values[i] = -std::numeric_limits<float>::infinity();
    const float largest = factor * largest_of(values, stride);
    for (int64_t i = 0; i < stride; ++i) {
      const float exponent = factor * values[i] - largest;
      values[i] = exponent < kLeastPower ? 0.0f : power_of_two(exponent);
    }
    sums[row] = sum_of(values, stride);
  }
}

ACM_PROCESSOR_VARIANTS
void layer_norm(LayerNormRows rows, const float* __restrict weight, const float* __restrict bias, float eps,
                int64_t count, int64_t columns) {
  const float share = 1.0f / static_cast<float>(columns);
  for (int64_t row = 0; row < count; ++row) {
    const float* values = rows.values + row * columns;
    if (rows.added != nullptr) {
      const float* __restrict added = rows.added + row * columns;
      float* total = rows.sum + row * columns;
#pragma omp simd
      for (int64_t i = 0; i < columns; ++i) total[i] = values[i] + added[i];
      values = total;
    }
    const float mean = sum_of(values, columns) * share, squares = sum_of_squares_beyond(mean, values, columns);
    const float factor = 1.0f / std::sqrt(squares * share + eps);
    float* __restrict to = rows.to + row * columns;
    for (int64_t i = 0; i < columns; ++i) to[i] = (values[i] - mean) * factor * weight[i] + bias[i];
  }
}

}  // namespace acm::nn
