#pragma once

#include <cstdint>
#include <cstring>

#include "nn/kernels/row_product.h"

// clang does not know these kinds of processors by name when it runs: there functions are compiled once.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define ACM_BY_PROCESSOR
#endif

namespace acm::nn {

// The tiles of which products of rows are made. Each is compiled with the function that it is part of, for the kind of
// processor that this is compiled for.

struct Product {
  int64_t rows, columns, inner;
  RowsView<const float> a;
  const float* b;
  int64_t b_stride;
  const float* bias;  // nullptr: none
  RowsView<float> to;
};

template <int kLanes>
using Vector [[gnu::vector_size(4 * kLanes)]] = float;

// What the numbers of a and b are: float32, or pairs of bfloat16 numbers that lie where one float32 would, of which the
// products of both are added to a float32. That instruction is written out, because tiles have no target of their own.
enum class Of { kFloats, kPairs };

// sums += value times each of the vectors `factors`.
template <Of kOf, int kVectors, typename Lanes>
[[gnu::always_inline]] inline void add_products(Lanes* sums, const float& value, const Lanes* factors) {
  if constexpr (kOf == Of::kFloats) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[v] += value * factors[v];
  }
#ifdef ACM_BY_PROCESSOR
  if constexpr (kOf == Of::kPairs) {
    Lanes values;
    asm("vbroadcastss %1, %0" : "=v"(values) : "m"(value));
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) asm("vdpbf16ps %2, %1, %0" : "+v"(sums[v]) : "v"(factors[v]), "v"(values));
  }
#endif
}

// kRows x (kVectors kLanes) numbers of the result, each a sum in the order of `inner`.
template <Of kOf, int kLanes, int kRows, int kVectors>
[[gnu::always_inline]] inline void multiply_tile(const Product& product, int64_t row, int64_t column) {
  using Lanes = Vector<kLanes>;
  const float* a[kRows];
  Lanes sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    a[r] = product.a[row + r];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = Lanes{};
      if (product.bias != nullptr) std::memcpy(&sums[r][v], product.bias + column + v * kLanes, sizeof(Lanes));
    }
  }
  const float* b = product.b + column;
#pragma GCC unroll 4
  for (int64_t i = 0; i < product.inner; ++i, b += product.b_stride) {
    Lanes factors[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) std::memcpy(&factors[v], b + v * kLanes, sizeof(Lanes));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) add_products<kOf, kVectors>(sums[r], a[r][i], factors);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* to = product.to[row + r] + column;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) std::memcpy(to + v * kLanes, &sums[r][v], sizeof(Lanes));
  }
}

// The rows from `row` on of some columns, in tiles that become lower towards the end.
template <Of kOf, int kLanes, int kRows, int kVectors>
[[gnu::always_inline]] inline void multiply_columns(const Product& product, int64_t column, int64_t row = 0) {
  for (; row + kRows <= product.rows; row += kRows) multiply_tile<kOf, kLanes, kRows, kVectors>(product, row, column);
  if constexpr (kRows > 1) multiply_columns<kOf, kLanes, kRows / 2, kVectors>(product, column, row);
}

}  // namespace acm::nn
