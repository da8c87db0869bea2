#include "nn/kernels/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <cmath>

#include "core/quotient.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/product.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

// Pointers to the first number of one head of one sample, whose rows lie `width` apart.
struct Head {
  const float *query, *key, *value;
  float* output;
  int64_t tokens, width, size;  // of the head: width / heads
};

// Queries [first, first + rows). scratch: rows * (whole_vectors(tokens) + 1) numbers.
void attend(const Head& head, int64_t first, int64_t rows, float* scratch) {
  const int64_t stride = whole_vectors(head.tokens);
  float *weights = scratch, *sums = scratch + rows * stride;
  multiply(rows, head.tokens, head.size, {head.query + first * head.width, head.width}, {head.key, head.width, true},
           weights, stride);
  exponentials(weights, sums, 1 / std::sqrt(static_cast<float>(head.size)), rows, head.tokens, stride);
  float* output = head.output + first * head.width;
  multiply(rows, head.size, head.tokens, {weights, stride}, {head.value, head.width}, output, head.width);
  divide_rows(output, sums, rows, head.size, head.width);
}

// Of the blocks of queries: a whole head, whose keys are then laid out for the product once, unless there are few heads
// for many threads, or its weights too many for 4 MB.
int64_t block_height(int64_t tokens, int64_t heads) {
  constexpr int64_t kBlocks = 16, kLeast = 64, kMostNumbers = int64_t{1} << 20;
  const int64_t parts = quotient_up(kBlocks, heads);
  return even_height(tokens, std::clamp(quotient_up(tokens, parts), kLeast, std::max(kLeast, kMostNumbers / tokens)));
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
    const at::Tensor scratch = at::empty({rows, whole_vectors(tokens) + 1}, query.options());
    attend({query.const_data_ptr<float>() + offset, key.const_data_ptr<float>() + offset,
            value.const_data_ptr<float>() + offset, output.mutable_data_ptr<float>() + offset, tokens, width, size},
           first, rows, scratch.mutable_data_ptr<float>());
  });
  return output;
}

}  // namespace acm::nn
