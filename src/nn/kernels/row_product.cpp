#include "nn/kernels/row_product.h"

#include <cstring>
#include <utility>

#include "nn/kernels/product_tiles.h"

namespace acm::nn {
namespace {

// Fewer columns than fill a vector of 2 kLanes.
template <int kLanes, int kRows>
[[gnu::always_inline]] inline void multiply_rest(const Product& product, int64_t column) {
  if (column + kLanes <= product.columns) {
    multiply_columns<Of::kFloats, kLanes, kRows, 1>(product, column);
    column += kLanes;
  }
  if constexpr (kLanes > 1) multiply_rest<kLanes / 2, kRows>(product, column);
}

// The columns from `column` on: those that fill vectors of kLanes, then the rest by shorter vectors. kSums: vectors of
// the result that the registers hold beside what they are made of. Three vectors of columns at a time are the best
// shape; four or two come last where one would be left.
template <int kLanes, int kSums>
[[gnu::always_inline]] inline void multiply_from(const Product& product, int64_t column) {
  int64_t vectors = (product.columns - column) / kLanes;
  for (; vectors > 4 || vectors == 3; vectors -= 3, column += 3 * kLanes)
    multiply_columns<Of::kFloats, kLanes, kSums / 3, 3>(product, column);
  if (vectors == 4) multiply_columns<Of::kFloats, kLanes, kSums / 4, 4>(product, column);
  if (vectors == 2) multiply_columns<Of::kFloats, kLanes, kSums / 2, 2>(product, column);
  if (vectors == 1) multiply_columns<Of::kFloats, kLanes, kSums * 2 / 3, 1>(product, column);
  column += vectors * kLanes;
  if constexpr (kLanes > 1) multiply_rest<kLanes / 2, kSums * 2 / 3>(product, column);
}

struct ProductToFew {
  int64_t rows, outputs, inner;
  const float *a, *b, *bias;
  float* to;
};

// Of two vectors, the first takes the lanes without the bit kDistance of both, the second those with it.
template <int kDistance, int... kLane>
[[gnu::always_inline]] inline void exchange(Vector<sizeof...(kLane)>& first, Vector<sizeof...(kLane)>& second,
                                            std::integer_sequence<int, kLane...>) {
  constexpr int kLanes = sizeof...(kLane);
  const Vector<kLanes> a = first, b = second;
  first = __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane - kDistance : kLane)...);
  second = __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane : kLane + kDistance)...);
}

// vectors[0], whose lane j is the sum of what vector j was.
template <int kLanes, int kDistance = kLanes / 2>
[[gnu::always_inline]] inline void sum_lanes(Vector<kLanes>* vectors) {
#pragma GCC unroll 8
  for (int i = 0; i < kDistance; ++i) {
    exchange<kDistance>(vectors[i], vectors[i + kDistance], std::make_integer_sequence<int, kLanes>{});
    vectors[i] += vectors[i + kDistance];
  }
  if constexpr (kDistance > 1) sum_lanes<kLanes, kDistance / 2>(vectors);
}

// kRows x kOutputs numbers of the result, no more than fill a vector: the vectors of their products run along `inner`.
// bias: by lane.
template <int kLanes, int kOutputs, int kRows>
[[gnu::always_inline]] inline void multiply_to_few_tile(const ProductToFew& product, int64_t row, int64_t output,
                                                        const Vector<kLanes>& bias) {
  const float *a = product.a + row * product.inner, *b = product.b + output * product.inner;
  Vector<kLanes> sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= product.inner; i += kLanes) {
    Vector<kLanes> factors[kOutputs], values;
#pragma GCC unroll 16
    for (int o = 0; o < kOutputs; ++o) std::memcpy(&factors[o], b + o * product.inner + i, sizeof(values));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      std::memcpy(&values, a + r * product.inner + i, sizeof(values));
#pragma GCC unroll 16
      for (int o = 0; o < kOutputs; ++o) sums[kOutputs * r + o] += values * factors[o];
    }
  }
  sum_lanes<kLanes>(sums);
  sums[0] += bias;
  float lanes[kLanes];
  std::memcpy(lanes, sums, sizeof(lanes));
  float* to = product.to + row * product.outputs + output;
  for (int r = 0; r < kRows; ++r, a += product.inner, to += product.outputs) {
    for (int64_t rest = i; rest < product.inner; ++rest)
      for (int o = 0; o < kOutputs; ++o) lanes[kOutputs * r + o] += a[rest] * b[o * product.inner + rest];
    std::memcpy(to, lanes + kOutputs * r, kOutputs * sizeof(float));
  }
}

// All rows of kOutputs outputs. Those that fill no tile are computed one by one, in the same order of sums.
template <int kLanes, int kOutputs>
[[gnu::always_inline]] inline void multiply_to_group(const ProductToFew& product, int64_t output) {
  constexpr int kRows = kLanes / kOutputs;
  Vector<kLanes> bias = {};
  for (int j = 0; j < kRows * kOutputs && product.bias != nullptr; ++j) bias[j] = product.bias[output + j % kOutputs];
  int64_t row = 0;
  for (; row + kRows <= product.rows; row += kRows)
    multiply_to_few_tile<kLanes, kOutputs, kRows>(product, row, output, bias);
  for (; row < product.rows; ++row) multiply_to_few_tile<kLanes, kOutputs, 1>(product, row, output, bias);
}

// The same of `count` outputs, at most kMost.
template <int kLanes, int kMost>
[[gnu::always_inline]] inline void multiply_to_group_of(int64_t count, const ProductToFew& product, int64_t output) {
  if (count == kMost) return multiply_to_group<kLanes, kMost>(product, output);
  if constexpr (kMost > 1) multiply_to_group_of<kLanes, kMost - 1>(count, product, output);
}

// In groups of four outputs, which are the fastest, until kMost or fewer are left.
template <int kLanes, int kMost>
[[gnu::always_inline]] inline void multiply_to_few_by(const ProductToFew& product) {
  int64_t output = 0;
  for (; product.outputs - output > kMost; output += 4) multiply_to_group<kLanes, 4>(product, output);
  multiply_to_group_of<kLanes, kMost>(product.outputs - output, product, output);
}

struct Transposition {
  int64_t rows, columns;
  const float* from;
  int64_t from_stride;
  float* to;
  int64_t to_stride;
};

// Lane i of vector j becomes lane j of vector i.
template <int kLanes, int kDistance = kLanes / 2>
[[gnu::always_inline]] inline void transpose_block(Vector<kLanes>* vectors) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & kDistance) continue;
    exchange<kDistance>(vectors[i], vectors[i + kDistance], std::make_integer_sequence<int, kLanes>{});
  }
  if constexpr (kDistance > 1) transpose_block<kLanes, kDistance / 2>(vectors);
}

template <int kLanes>
[[gnu::always_inline]] inline void transpose_by(const Transposition& t) {
  const int64_t rows = t.rows / kLanes * kLanes, columns = t.columns / kLanes * kLanes;
  for (int64_t row = 0; row < rows; row += kLanes) {
    for (int64_t column = 0; column < columns; column += kLanes) {
      Vector<kLanes> block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        std::memcpy(&block[i], t.from + (row + i) * t.from_stride + column, sizeof(block[i]));
      transpose_block<kLanes>(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        std::memcpy(t.to + (column + i) * t.to_stride + row, &block[i], sizeof(block[i]));
    }
  }
  for (int64_t row = 0; row < t.rows; ++row)
    for (int64_t column = row < rows ? columns : 0; column < t.columns; ++column)
      t.to[column * t.to_stride + row] = t.from[row * t.from_stride + column];
}

#ifdef ACM_BY_PROCESSOR
__attribute__((target("arch=x86-64-v4"))) void multiply_v4(const Product& product) {
  multiply_from<16, 24>(product, 0);
}
__attribute__((target("arch=x86-64-v3"))) void multiply_v3(const Product& product) { multiply_from<8, 12>(product, 0); }
__attribute__((target("arch=x86-64-v4"))) void multiply_to_few_v4(const ProductToFew& product) {
  multiply_to_few_by<16, 5>(product);
}
__attribute__((target("arch=x86-64-v3"))) void multiply_to_few_v3(const ProductToFew& product) {
  multiply_to_few_by<8, 4>(product);
}
__attribute__((target("arch=x86-64-v4"))) void transpose_v4(const Transposition& t) { transpose_by<16>(t); }
__attribute__((target("arch=x86-64-v3"))) void transpose_v3(const Transposition& t) { transpose_by<8>(t); }
#endif
void transpose_any(const Transposition& t) { transpose_by<4>(t); }
void multiply_any(const Product& product) { multiply_from<4, 12>(product, 0); }
void multiply_to_few_any(const ProductToFew& product) { multiply_to_few_by<4, 4>(product); }

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

void multiply_to_few(int64_t rows, int64_t outputs, int64_t inner, const float* a, const float* b, const float* bias,
                     float* to) {
  const ProductToFew product{rows, outputs, inner, a, b, bias, to};
#ifdef ACM_BY_PROCESSOR
  if (__builtin_cpu_supports("x86-64-v4")) return multiply_to_few_v4(product);
  if (__builtin_cpu_supports("x86-64-v3")) return multiply_to_few_v3(product);
#endif
  multiply_to_few_any(product);
}

void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Transposition t{rows, columns, from, from_stride, to, to_stride};
#ifdef ACM_BY_PROCESSOR
  if (__builtin_cpu_supports("x86-64-v4")) return transpose_v4(t);
  if (__builtin_cpu_supports("x86-64-v3")) return transpose_v3(t);
#endif
  transpose_any(t);
}

}  // namespace acm::nn
