#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

#include "nn/kernels/row_product.h"

namespace acm::nn {

// A matrix of bfloat16 numbers, as MatrixView (product.h) is one of float32.
struct Bfloat16View {
  const c10::BFloat16* data;
  int64_t stride;
  bool transposed = false;
};

// to [rows, columns] = a [rows, inner] times b [inner, columns], summed in float32, by the BLAS inside LibTorch. It
// takes the instructions that the processor has for it (amx_bf16, else avx512_bf16), and without any multiplies in
// float32 what it has widened.
void multiply(int64_t rows, int64_t columns, int64_t inner, Bfloat16View a, Bfloat16View b, float* to,
              int64_t to_stride);

// Whether this processor multiplies bfloat16 numbers by itself, and so faster than float32.
bool has_bfloat16_products();

// to = values, each rounded to the nearest bfloat16 number, ties to even: a relative error of at most 2^-8. NaN stays
// NaN, and what is smaller than any normal number becomes 0, as the instructions for it have it.
void round_to_bfloat16(const float* values, c10::BFloat16* to, int64_t count);
// The same of rows that stand anywhere. to [rows, columns], packed.
void round_rows_to_bfloat16(RowsView<const float> from, int64_t rows, int64_t columns, c10::BFloat16* to);
// The same of each row divided by its sum. values and to [rows, columns], packed; sums [rows].
void round_shares_to_bfloat16(const float* values, const float* sums, c10::BFloat16* to, int64_t rows, int64_t columns);

}  // namespace acm::nn
