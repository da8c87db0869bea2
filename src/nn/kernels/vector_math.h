#pragma once

#include <cstdint>

#include "core/quotient.h"

namespace acm::nn {

// Loops over rows of float32 in plain memory. What is computed of a number does not depend on where it stands. Errors
// are those with AVX2 and wider; on older processors sums of rows and exponents are less exact.

// values = gelu(values + bias) in place, gelu(x) = x Phi(x) (the exact, erf form). values [rows, columns], packed; bias
// [columns]. Absolute error at most 4e-7 for |x| <= 10, where ATen's is 1.2e-6 (against float64); NaN stays NaN.
void add_bias_and_gelu(float* values, const float* bias, int64_t rows, int64_t columns);

// values = gelu(values) in place.
void gelu(float* values, int64_t count);

// The same as add_bias_and_gelu, and slopes = gelu'(values + bias) = Phi(x) + x phi(x), as exact. slopes as values.
void add_bias_and_gelu_with_slopes(float* values, float* slopes, const float* bias, int64_t rows, int64_t columns);

// values += bias. values [rows, columns], packed; bias [columns].
void add_bias(float* values, const float* bias, int64_t rows, int64_t columns);

// Each row divided by its divisor. values [rows, columns], whose rows lie `stride` numbers apart; divisors [rows].
void divide_rows(float* values, const float* divisors, int64_t rows, int64_t columns, int64_t stride);

// values *= factors, element by element.
void multiply_elements(float* values, const float* factors, int64_t count);

// sums += the sum of each column. values [rows, columns], whose rows lie `stride` numbers apart; sums [columns].
void add_column_sums(float* sums, const float* values, int64_t rows, int64_t columns, int64_t stride);

// parts [learners, rows, columns], packed, becomes its sums over the learners up to each one less `target` [rows,
// columns]; squares [rows, learners] = the squared lengths of the rows of that.
void prefix_errors(float* parts, const float* target, float* squares, int64_t learners, int64_t rows, int64_t columns);

// scaled = values, of which each row has `parts` parts of `columns` numbers, times the factor of the part. values and
// scaled [rows, parts, columns], packed; factors [rows, parts].
void scale_parts(const float* values, const float* factors, float* scaled, int64_t rows, int64_t parts,
                 int64_t columns);

// Backward of scale_parts, and of an activation before it: from `gradients` with respect to scaled, in place, those
// with respect to what the activation takes; factor_gradients [rows, parts]. slopes: as values, or nullptr for the
// identity.
void scale_parts_backward(float* gradients, const float* values, const float* slopes, const float* factors,
                          float* factor_gradients, int64_t rows, int64_t parts, int64_t columns);

float sum_of_squares(const float* values, int64_t count);

// parts [learners, count] in place: each the sum of itself and all after it.
void suffix_sums(float* parts, int64_t learners, int64_t count);

// values = exp(scale (values - the row's maximum)) in place, and sums = the sum of each row. values [rows, columns],
// whose rows lie `stride` numbers apart; what stands between them becomes 0, so that rows which fill whole vectors need
// no remainder. sums [rows].
void exponentials(float* values, float* sums, float scale, int64_t rows, int64_t columns, int64_t stride);
// Of rows that fill the widest vectors.
constexpr int64_t whole_vectors(int64_t columns) { return quotient_up(columns, 16) * 16; }

// Each row less its mean, over its standard deviation (the root of variance + eps), times weight, plus bias: of values,
// or of values + added, which sum then becomes; it may be values. values, added (nullptr: none), sum and to [rows,
// columns], packed; weight and bias [columns].
struct LayerNormRows {
  const float *values, *added;
  float *sum, *to;
};
void layer_norm(LayerNormRows rows, const float* weight, const float* bias, float eps, int64_t count, int64_t columns);

}  // namespace acm::nn
