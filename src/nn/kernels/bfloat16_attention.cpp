#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "core/quotient.h"
#include "nn/kernels/attention.h"
#include "nn/kernels/bfloat16_product.h"
#include "nn/kernels/heads.h"
#include "nn/kernels/pairs_product.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

using c10::BFloat16;

at::Tensor rounded(const at::Tensor& tokens) {
  at::Tensor result = at::empty_like(tokens, at::kBFloat16);
  const int64_t width = tokens.size(-1);
  for_each_block(tokens.numel() / width, width, [&](int64_t first, int64_t rows) {
    round_to_bfloat16(tokens.const_data_ptr<float>() + first * width,
                      result.mutable_data_ptr<BFloat16>() + first * width, rows * width);
  });
  return result;
}

// Queries [first, first + rows), by the BLAS.
void attend_by_blas(const Head<BFloat16>& head, int64_t first, int64_t rows) {
  const int64_t stride = whole_vectors(head.tokens);
  const at::Tensor space = at::empty({rows, stride + 1}, at::kFloat), narrow = at::empty({rows, stride}, at::kBFloat16);
  float *weights = space.mutable_data_ptr<float>(), *sums = weights + rows * stride;
  BFloat16* shares = narrow.mutable_data_ptr<BFloat16>();
  multiply(rows, head.tokens, head.size, {head.query + first * head.width, head.width}, {head.key, head.width, true},
           weights, stride);
  constexpr int64_t kRowsAtOnce = 16;  // what one pass leaves of them is in the core's first cache for the next
  for (int64_t row = 0; row < rows; row += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, rows - row), begin = row * stride;
    exponentials(weights + begin, sums, head.scale(), count, head.tokens, stride);
    round_shares_to_bfloat16(weights + begin, sums, shares + begin, count, stride);
  }
  multiply(rows, head.size, head.tokens, {shares, stride}, {head.value, head.width}, head.output + first * head.width,
           head.width);
}

// The keys of a head as the columns of a matrix in pairs, one for each of `columns`; `rows` is scratch space as large.
void lay_out_keys(const Head<float>& head, int64_t columns, BFloat16* rows, BFloat16* to) {
  round_rows_to_bfloat16({head.key, head.width}, head.tokens, head.size, rows);
  std::fill(rows + head.tokens * head.size, rows + columns * head.size, BFloat16(0));
  // A pair moves as one float32, in another file than where it is written and read.
  const int64_t pairs = head.size / 2;
  const auto* from = reinterpret_cast<const float*>(rows);
  auto* panels = reinterpret_cast<float*>(to);
  for (int64_t first = 0; first < columns; first += kPanelColumns) {
    const int64_t count = std::min(kPanelColumns, columns - first);
    transpose(count, pairs, from + first * pairs, pairs, panels + first * pairs, count);
  }
}

// Its values as the rows of one, `even` rows in all; `rows` likewise.
void lay_out_values(const Head<float>& head, int64_t even, BFloat16* rows, BFloat16* to) {
  round_rows_to_bfloat16({head.value, head.width}, head.tokens, head.size, rows);
  std::fill(rows + head.tokens * head.size, rows + even * head.size, BFloat16(0));
  lay_out_pairs(rows, head.size, 1, even, head.size, to);
}

// Queries [first, first + count), some of them at a time, by products of pairs.
void attend_in_pairs(const Head<float>& head, int64_t first, int64_t count) {
  const int64_t columns = whole_vectors(head.tokens), even = quotient_up(head.tokens, 2) * 2, size = head.size;
  const int64_t numbers = 3 * columns * size + kQueries * (size + columns);  // of bfloat16
  const at::Tensor space = at::empty({numbers / 2 + kQueries * (columns + 1)}, at::kFloat);
  float *weights = space.mutable_data_ptr<float>(), *sums = weights + kQueries * columns;
  auto* keys = reinterpret_cast<BFloat16*>(sums + kQueries);
  BFloat16 *values = keys + columns * size, *queries = values + columns * size, *shares = queries + kQueries * size,
           *rows_of_head = shares + kQueries * columns;
  lay_out_keys(head, columns, rows_of_head, keys);
  lay_out_values(head, even, rows_of_head, values);
  for (const int64_t end = first + count; first < end; first += kQueries) {
    const int64_t rows = std::min(kQueries, end - first);
    round_rows_to_bfloat16({head.query + first * head.width, head.width}, rows, size, queries);
    multiply_pairs(rows, columns, size, {queries, size}, {keys, size, columns}, nullptr, {weights, columns});
    exponentials(weights, sums, head.scale(), rows, head.tokens, columns);
    round_shares_to_bfloat16(weights, sums, shares, rows, columns);
    multiply_pairs(rows, size, even, {shares, columns}, {values, even, size}, nullptr,
                   {head.output + first * head.width, head.width});
  }
}

}  // namespace

at::Tensor bfloat16_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t heads) {
  TORCH_CHECK(kernels_apply({query, key, value}), "attention in bfloat16 takes float32 on the CPU, no gradients");
  const int64_t tokens = query.size(1), size = query.size(2) / heads;
  at::Tensor output = at::empty_like(query);
  if (output.numel() == 0) return output;
  if (prefers_pairs() && whole_vectors(size) == size) {
    const int64_t height = block_height(tokens, query.size(0) * heads);
    for_each_head<float>(query, key, value, output, heads, height, attend_in_pairs);
  } else {
    constexpr int64_t kMostQueries = 256;  // short blocks cost more: each copies the head's keys and values anew
    for_each_head<BFloat16>(rounded(query), rounded(key), rounded(value), output, heads,
                            even_height(tokens, kMostQueries), attend_by_blas);
  }
  return output;
}

}  // namespace acm::nn
