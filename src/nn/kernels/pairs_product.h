#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "nn/kernels/row_product.h"

namespace acm::nn {

// A matrix [inner, columns] of bfloat16 numbers as multiply_pairs reads it; `inner` is even, `columns` a multiple
// of 16. It lies in panels of kPanelColumns, the last perhaps narrower, one after another; in a panel two rows lie as
// one, number beside number.
constexpr int64_t kPanelColumns = 48;
struct PairsView {
  const c10::BFloat16* data;
  int64_t inner, columns;
};
// Whether this processor multiplies pairs (avx512_bf16), and the compiler knew how to; and whether that is the fastest
// form, which it is not where it multiplies whole tiles (amx_bf16), as the BLAS does.
bool multiplies_pairs();
bool prefers_pairs();
// to: a matrix of which the element in row i and column j is from[i * row_stride + j * column_stride].
void lay_out_pairs(const c10::BFloat16* from, int64_t row_stride, int64_t column_stride, int64_t inner, int64_t columns,
                   c10::BFloat16* to);
// As multiply_rows, for the first rows and columns of b (multiples of 2 and 16), summed in float32. It reached the
// BLAS's speed on an AMD EPYC (Zen 5) without the copies that the BLAS makes of both matrices for each product. Only
// where multiplies_pairs().
void multiply_pairs(int64_t rows, int64_t columns, int64_t inner, RowsView<const c10::BFloat16> a, PairsView b,
                    const float* bias, RowsView<float> to);

}  // namespace acm::nn
