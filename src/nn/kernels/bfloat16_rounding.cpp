#include <bit>

#include "core/processor_variants.h"
#include "nn/kernels/bfloat16_product.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace acm::nn {
namespace {

// The upper half of the number's bits, after adding just under half of what is cut off, or half where that makes an odd
// number even. What the instruction for it does with the rest: NaN stays, made quiet; below 2^-126 all is 0.
[[gnu::always_inline]] inline uint16_t upper_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  const uint32_t upper = bits >> 16, rounded = (bits + 0x7fff + (upper & 1)) >> 16;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(upper | 0x40);
  return static_cast<uint16_t>(magnitude < 0x00800000 ? upper & 0x8000 : rounded);
}

// to = factor values.
ACM_PROCESSOR_VARIANTS
void round_by_bits(const float* __restrict values, float factor, c10::BFloat16* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i].x = upper_half(values[i] * factor);
}

#if defined(__x86_64__)
#define ACM_IN_BFLOAT16 [[gnu::target("avx512f,avx512bw,avx512vl,avx512bf16")]]

ACM_IN_BFLOAT16 inline __m256i rounded(__m512 values) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)); }

ACM_IN_BFLOAT16 void round_by_instruction(const float* values, float factor, c10::BFloat16* to, int64_t count) {
  constexpr int64_t kLanes = 16;
  const __m512 factors = _mm512_set1_ps(factor);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i),
                        rounded(_mm512_mul_ps(_mm512_loadu_ps(values + i), factors)));
  const auto rest = static_cast<__mmask16>((1u << (count - i)) - 1);
  if (rest == 0) return;
  const __m512 last = _mm512_maskz_loadu_ps(rest, values + i);
  _mm256_mask_storeu_epi16(to + i, rest, rounded(_mm512_mul_ps(last, factors)));
}
#endif

void round(const float* values, float factor, c10::BFloat16* to, int64_t count) {
#if defined(__x86_64__)
  static const bool by_instruction = has_bfloat16_products();
  if (by_instruction) return round_by_instruction(values, factor, to, count);
#endif
  round_by_bits(values, factor, to, count);
}

}  // namespace

void round_to_bfloat16(const float* values, c10::BFloat16* to, int64_t count) { round(values, 1, to, count); }

void round_rows_to_bfloat16(RowsView<const float> from, int64_t rows, int64_t columns, c10::BFloat16* to) {
  for (int64_t row = 0; row < rows; ++row) round(from[row], 1, to + row * columns, columns);
}

void round_shares_to_bfloat16(const float* values, const float* sums, c10::BFloat16* to, int64_t rows,
                              int64_t columns) {
  for (int64_t row = 0; row < rows; ++row) round(values + row * columns, 1 / sums[row], to + row * columns, columns);
}

}  // namespace acm::nn
