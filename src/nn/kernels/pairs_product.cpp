#include "nn/kernels/pairs_product.h"

#include <c10/util/Exception.h>

#include <algorithm>

#include "nn/kernels/bfloat16_product.h"
#include "nn/kernels/product_tiles.h"

namespace acm::nn {
#ifdef ACM_BY_PROCESSOR
namespace {

// Panel after panel of b.
__attribute__((target("arch=x86-64-v4"))) void multiply_panels(Product product, PairsView b) {
  constexpr int kLanes = 16, kSums = 24;
  const auto* pairs = reinterpret_cast<const float*>(b.data);
  for (int64_t column = 0; column < product.columns; column += kPanelColumns) {
    product.b_stride = std::min(kPanelColumns, b.columns - column);
    product.b = pairs + column * (b.inner / 2) - column;
    const int64_t vectors = std::min(kPanelColumns, product.columns - column) / kLanes;
    if (vectors == 3) multiply_columns<Of::kPairs, kLanes, kSums / 3, 3>(product, column);
    if (vectors == 2) multiply_columns<Of::kPairs, kLanes, kSums / 2, 2>(product, column);
    if (vectors == 1) multiply_columns<Of::kPairs, kLanes, kSums * 2 / 3, 1>(product, column);
  }
}

}  // namespace
#endif

bool multiplies_pairs() {
#ifdef ACM_BY_PROCESSOR
  return __builtin_cpu_supports("x86-64-v4") && has_bfloat16_products();
#else
  return false;
#endif
}

bool prefers_pairs() {
#ifdef ACM_BY_PROCESSOR
  return multiplies_pairs() && !__builtin_cpu_supports("amx-bf16");
#else
  return false;
#endif
}

void lay_out_pairs(const c10::BFloat16* from, int64_t row_stride, int64_t column_stride, int64_t inner, int64_t columns,
                   c10::BFloat16* to) {
  for (int64_t first = 0; first < columns; first += kPanelColumns) {
    const int64_t end = std::min(columns, first + kPanelColumns);
    for (int64_t row = 0; row < inner; row += 2) {
      for (int64_t column = first; column < end; ++column) {
        const c10::BFloat16* upper = from + row * row_stride + column * column_stride;
        *to++ = upper[0];
        *to++ = upper[row_stride];
      }
    }
  }
}

void multiply_pairs([[maybe_unused]] int64_t rows, [[maybe_unused]] int64_t columns, [[maybe_unused]] int64_t inner,
                    [[maybe_unused]] RowsView<const c10::BFloat16> a, [[maybe_unused]] PairsView b,
                    [[maybe_unused]] const float* bias, [[maybe_unused]] RowsView<float> to) {
#ifdef ACM_BY_PROCESSOR
  // Pairs are read as float32, which they were not written as: in other files, so that the compiler cannot know.
  const RowsView<const float> pairs{reinterpret_cast<const float*>(a.data), a.stride / 2, a.order};
  multiply_panels({rows, columns, inner / 2, pairs, nullptr, 0, bias, to}, b);
#else
  TORCH_CHECK(false, "this program was not compiled for processors that multiply pairs");
#endif
}

}  // namespace acm::nn
