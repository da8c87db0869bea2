#include "nn/kernels/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <cmath>

#include "core/quotient.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

// Pointers to the first number of one head of one sample, whose rows lie `width` apart.
struct Head {
  const float *query, *key, *value;
  float* output;
  int64_t tokens, width, size;  // of the head: width / heads
};

// Queries that go from their weights to their output at once, so that the weights stay in the core's first cache.
constexpr int64_t kQueries = 48;

// How far apart rows of so many numbers lie: an odd number of cache lines, so that columns of them fill all of a cache.
int64_t apart(int64_t columns) { return (whole_vectors(columns) / 16 | 1) * 16; }

int64_t scratch_numbers(int64_t tokens, int64_t size) {
  return (size + kQueries) * apart(tokens) + tokens * size + kQueries;
}

// Queries [first, first + count).
void attend(const Head& head, int64_t first, int64_t count, float* scratch) {
  const int64_t stride = apart(head.tokens), columns = whole_vectors(head.tokens);
  float *keys = scratch, *values = keys + head.size * stride, *weights = values + head.tokens * head.size,
        *sums = weights + kQueries * stride;
  for (int64_t i = 0; i < head.size; ++i) std::fill(keys + i * stride + head.tokens, keys + i * stride + columns, 0.0f);
  transpose(head.tokens, head.size, head.key, head.width, keys, stride);
  for (int64_t token = 0; token < head.tokens; ++token)
    std::copy_n(head.value + token * head.width, head.size, values + token * head.size);
  const float scale = 1 / std::sqrt(static_cast<float>(head.size));
  for (const int64_t end = first + count; first < end; first += kQueries) {
    const int64_t rows = std::min(kQueries, end - first);
    float* output = head.output + first * head.width;
    multiply_rows(rows, columns, head.size, {head.query + first * head.width, head.width}, keys, stride, nullptr,
                  {weights, stride});
    exponentials(weights, sums, scale, rows, head.tokens, stride);
    multiply_rows(rows, head.size, head.tokens, {weights, stride}, values, head.size, nullptr, {output, head.width});
    divide_rows(output, sums, rows, head.size, head.width);
  }
}

// Of the blocks of queries: a whole head, whose keys are then laid out once, unless there are few heads for many
// threads. Queries do not know of each other, so blocks change no bit.
int64_t block_height(int64_t tokens, int64_t heads) {
  constexpr int64_t kBlocksOfThread = 4;
  const int64_t threads = sharing_threads();
  const int64_t parts = threads == 1 ? 1 : quotient_up(kBlocksOfThread * threads, heads);
  return even_height(tokens, std::max(kQueries, quotient_up(tokens, parts)));
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
  const int64_t samples = query.size(0), tokens = query.size(1), width = query.size(2), size = width / heads;
  at::Tensor output = at::empty_like(query);
  const int64_t height = block_height(tokens, samples * heads), blocks = quotient_up(tokens, height);
  share_among_threads(samples * heads * blocks, [&](int64_t i) {
    const int64_t offset = i / blocks / heads * tokens * width + i / blocks % heads * size, first = i % blocks * height;
    const int64_t rows = std::min(height, tokens - first);
    const at::Tensor scratch = at::empty({scratch_numbers(tokens, size)}, query.options());
    attend({query.const_data_ptr<float>() + offset, key.const_data_ptr<float>() + offset,
            value.const_data_ptr<float>() + offset, output.mutable_data_ptr<float>() + offset, tokens, width, size},
           first, rows, scratch.mutable_data_ptr<float>());
  });
  return output;
}

}  // namespace acm::nn
