#pragma once

#include <cstdint>

namespace acm::nn {

// Rows in plain memory, `stride` numbers apart: the first, second, ... or, with `order`, those that it names.
template <typename Number>
struct RowsView {
  Number* data;
  int64_t stride;
  const int64_t* order = nullptr;
  Number* operator[](int64_t row) const { return data + (order != nullptr ? order[row] : row) * stride; }
};

// to [rows, columns] = a [rows, inner] times b [inner, columns], whose rows lie `b_stride` numbers apart, + bias
// [columns] (nullptr: none). For products that are narrow or whose rows stand apart: tiles of the result stay in
// registers, and nothing is copied. For learners of ViT-Ti's projections it reached 0.9 to 1 of the BLAS's speed, not
// counting the copies that the BLAS needs of rows that stand apart; it is slower where columns fill no whole vectors of
// 16, and where rows of b are some power of two apart. What is computed of a row does not depend on where it stands.
void multiply_rows(int64_t rows, int64_t columns, int64_t inner, RowsView<const float> a, const float* b,
                   int64_t b_stride, const float* bias, RowsView<float> to);

// to [rows, outputs] = a [rows, inner] times the transpose of b [outputs, inner], all packed, + bias [outputs]
// (nullptr: none): for gates, whose few outputs fill no vectors, at any number of which it is right. What is computed
// of a row does not depend on where it stands.
void multiply_to_few(int64_t rows, int64_t outputs, int64_t inner, const float* a, const float* b, const float* bias,
                     float* to);

// Whether multiply_to_few is worth it. Over 197 and 1576 rows of 192 and 768 numbers it took, with AVX-512, 0.2 of the
// time of LibTorch's linear for 4 outputs, 0.3 for 5, 0.5 to 0.7 for 10 and 19, and where outputs fill vectors of 16,
// 0.7 to 1 for 16 and 0.85 to 1.15 for 32; with AVX2 0.6 for 5 and at most 1.3, for 16 and 32.
constexpr bool few_outputs(int64_t outputs, int64_t inner) {
  constexpr int64_t kMostOutputs = 32, kLeastInner = 64;
  return outputs <= kMostOutputs && inner >= kLeastInner;
}

// to [columns, rows] = the transpose of from [rows, columns]; rows of each lie its stride apart.
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride, float* to, int64_t to_stride);

}  // namespace acm::nn
