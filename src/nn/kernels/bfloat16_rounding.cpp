#include <bit>

#include "core/processor_variants.h"
#include "nn/kernels/bfloat16_product.h"

namespace acm::nn {
namespace {

// The upper half of the number's bits, after adding just under half of what is cut off, or half where that makes an odd
// number even. A NaN whose bits would carry over into the exponent is replaced by another.
[[gnu::always_inline]] inline uint16_t upper_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

}  // namespace

ACM_PROCESSOR_VARIANTS
void round_to_bfloat16(const float* __restrict values, c10::BFloat16* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i].x = upper_half(values[i]);
}

ACM_PROCESSOR_VARIANTS
void round_shares_to_bfloat16(const float* __restrict values, const float* __restrict sums,
                              c10::BFloat16* __restrict to, int64_t rows, int64_t columns) {
  for (int64_t row = 0; row < rows; ++row, values += columns, to += columns) {
    const float factor = 1 / sums[row];
    for (int64_t i = 0; i < columns; ++i) to[i].x = upper_half(values[i] * factor);
  }
}

}  // namespace acm::nn
