#include "nn/kernels/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>

#include "nn/kernels/heads.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

// How far apart rows of so many numbers lie: an odd number of cache lines, so that columns of them fill all of a cache.
int64_t apart(int64_t columns) { return (whole_vectors(columns) / 16 | 1) * 16; }

// Queries [first, first + count).
void attend(const Head<float>& head, int64_t first, int64_t count) {
  const int64_t stride = apart(head.tokens), columns = whole_vectors(head.tokens);
  const at::Tensor space =
      at::empty({(head.size + kQueries) * stride + head.tokens * head.size + kQueries}, at::kFloat);
  float *keys = space.mutable_data_ptr<float>(), *values = keys + head.size * stride,
        *weights = values + head.tokens * head.size, *sums = weights + kQueries * stride;
  for (int64_t i = 0; i < head.size; ++i) std::fill(keys + i * stride + head.tokens, keys + i * stride + columns, 0.0f);
  transpose(head.tokens, head.size, head.key, head.width, keys, stride);
  for (int64_t token = 0; token < head.tokens; ++token)
    std::copy_n(head.value + token * head.width, head.size, values + token * head.size);
  for (const int64_t end = first + count; first < end; first += kQueries) {
    const int64_t rows = std::min(kQueries, end - first);
    float* output = head.output + first * head.width;
    multiply_rows(rows, columns, head.size, {head.query + first * head.width, head.width}, keys, stride, nullptr,
                  {weights, stride});
    exponentials(weights, sums, head.scale(), rows, head.tokens, stride);
    multiply_rows(rows, head.size, head.tokens, {weights, stride}, values, head.size, nullptr, {output, head.width});
    divide_rows(output, sums, rows, head.size, head.width);
  }
}

at::Tensor attention_by_operations(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                   int64_t heads) {
  const auto by_head = [heads](const at::Tensor& projected) {
    return projected.unflatten(-1, {heads, projected.size(-1) / heads}).transpose(1, 2);
  };
  return at::scaled_dot_product_attention(by_head(query), by_head(key), by_head(value)).transpose(1, 2).flatten(2);
}

}  // namespace

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t heads) {
  if (!kernels_apply({query, key, value})) return attention_by_operations(query, key, value, heads);
  at::Tensor output = at::empty_like(query);
  if (output.numel() == 0) return output;
  for_each_head<float>(query, key, value, output, heads, block_height(query.size(1), query.size(0) * heads), attend);
  return output;
}

}  // namespace acm::nn
