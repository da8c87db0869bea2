#include "nn/kernels/row_product.h"

#include <cstring>

namespace acm::nn {
namespace {

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

// kRows x (kVectors kLanes) numbers of the result, each a sum in the order of `inner`.
template <int kLanes, int kRows, int kVectors>
[[gnu::always_inline]] inline void multiply_tile(const Product& product, int64_t row, int64_t column) {
  using Lanes = Vector<kLanes>;
  const float* a[kRows];
  Lanes sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    a[r] = product.a[row + r];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = Lanes{};
      if (product.bias != nullptr) std::memcpy(&sums[r][v], product.bias + column + v * kLanes, sizeof(Lanes));
    }
  }
  const float* b = product.b + column;
  for (int64_t i = 0; i < product.inner; ++i, b += product.b_stride) {
    Lanes factors[kVectors];
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) std::memcpy(&factors[v], b + v * kLanes, sizeof(Lanes));
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const float value = a[r][i];
#pragma GCC unroll 3
      for (int v = 0; v < kVectors; ++v) sums[r][v] += value * factors[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* to = product.to[row + r] + column;
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) std::memcpy(to + v * kLanes, &sums[r][v], sizeof(Lanes));
  }
}

// All rows of some columns.
template <int kLanes, int kRows, int kVectors>
[[gnu::always_inline]] inline void multiply_columns(const Product& product, int64_t column) {
  int64_t row = 0;
  for (; row + kRows <= product.rows; row += kRows) multiply_tile<kLanes, kRows, kVectors>(product, row, column);
  for (; row + 2 <= product.rows; row += 2) multiply_tile<kLanes, 2, kVectors>(product, row, column);
  for (; row < product.rows; ++row) multiply_tile<kLanes, 1, kVectors>(product, row, column);
}

// The columns from `column` on: those that fill vectors of kLanes, then the rest by shorter vectors.
template <int kLanes, int kRows>
[[gnu::always_inline]] inline void multiply_from(const Product& product, int64_t column) {
  for (; column + 3 * kLanes <= product.columns; column += 3 * kLanes)
    multiply_columns<kLanes, kRows, 3>(product, column);
  for (; column + kLanes <= product.columns; column += kLanes) multiply_columns<kLanes, kRows, 1>(product, column);
  if constexpr (kLanes > 1) multiply_from<kLanes / 2, kRows>(product, column);
}

template <int kLanes>
[[gnu::always_inline]] inline float sum_of(const Vector<kLanes>& lanes) {
  if constexpr (kLanes == 1) {
    return lanes[0];
  } else {
    Vector<kLanes / 2> halves[2];
    std::memcpy(halves, &lanes, sizeof(lanes));
    return sum_of<kLanes / 2>(halves[0] + halves[1]);
  }
}

struct ProductToFour {
  int64_t rows, inner;
  const float *a, *b, *bias;
  float* to;
};

// kRows rows of the result: the vectors of their products run along `inner`.
template <int kLanes, int kRows>
[[gnu::always_inline]] inline void multiply_to_four_tile(const ProductToFour& product, int64_t row) {
  using Lanes = Vector<kLanes>;
  const float *a = product.a + row * product.inner, *b = product.b;
  Lanes sums[kRows][4] = {};
  int64_t i = 0;
  for (; i + kLanes <= product.inner; i += kLanes) {
    Lanes factors[4];
#pragma GCC unroll 4
    for (int o = 0; o < 4; ++o) std::memcpy(&factors[o], b + o * product.inner + i, sizeof(Lanes));
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      Lanes values;
      std::memcpy(&values, a + r * product.inner + i, sizeof(Lanes));
#pragma GCC unroll 4
      for (int o = 0; o < 4; ++o) sums[r][o] += values * factors[o];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < 4; ++o) {
      float sum = sum_of<kLanes>(sums[r][o]);
      for (int64_t rest = i; rest < product.inner; ++rest)
        sum += a[r * product.inner + rest] * b[o * product.inner + rest];
      product.to[(row + r) * 4 + o] = product.bias == nullptr ? sum : sum + product.bias[o];
    }
  }
}

template <int kLanes, int kRows>
[[gnu::always_inline]] inline void multiply_to_four_by(const ProductToFour& product) {
  int64_t row = 0;
  for (; row + kRows <= product.rows; row += kRows) multiply_to_four_tile<kLanes, kRows>(product, row);
  for (; row < product.rows; ++row) multiply_to_four_tile<kLanes, 1>(product, row);
}

// clang does not know these kinds of processors by name when it runs: there the function is compiled once.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define ACM_BY_PROCESSOR
__attribute__((target("arch=x86-64-v4"))) void multiply_v4(const Product& product) { multiply_from<16, 8>(product, 0); }
__attribute__((target("arch=x86-64-v3"))) void multiply_v3(const Product& product) { multiply_from<8, 4>(product, 0); }
__attribute__((target("arch=x86-64-v4"))) void multiply_to_four_v4(const ProductToFour& product) {
  multiply_to_four_by<16, 4>(product);
}
__attribute__((target("arch=x86-64-v3"))) void multiply_to_four_v3(const ProductToFour& product) {
  multiply_to_four_by<8, 2>(product);
}
#endif
void multiply_any(const Product& product) { multiply_from<4, 4>(product, 0); }
void multiply_to_four_any(const ProductToFour& product) { multiply_to_four_by<4, 2>(product); }

}  // namespace

void multiply_rows(int64_t rows, int64_t columns, int64_t inner, RowsView<const float> a, const float* b,
                   int64_t b_stride, const float* bias, RowsView<float> to) {
  const Product product{rows, columns, inner, a, b, b_stride, bias, to};
#ifdef ACM_BY_PROCESSOR
  if (__builtin_cpu_supports("x86-64-v4")) return multiply_v4(product);
  if (__builtin_cpu_supports("x86-64-v3")) return multiply_v3(product);
#endif
  multiply_any(product);
}

void multiply_to_four(int64_t rows, int64_t inner, const float* a, const float* b, const float* bias, float* to) {
  const ProductToFour product{rows, inner, a, b, bias, to};
#ifdef ACM_BY_PROCESSOR
  if (__builtin_cpu_supports("x86-64-v4")) return multiply_to_four_v4(product);
  if (__builtin_cpu_supports("x86-64-v3")) return multiply_to_four_v3(product);
#endif
  multiply_to_four_any(product);
}

}  // namespace acm::nn
