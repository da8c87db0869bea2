#include "nn/kernels/bfloat16_layers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>

#include "core/quotient.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

using c10::BFloat16;

int64_t rows_of(const at::Tensor& tokens) { return tokens.numel() / tokens.size(-1); }

void check_kernels_apply(std::initializer_list<at::Tensor> tensors) {
  TORCH_CHECK(kernels_apply(tensors), "products in bfloat16 take float32 tokens and biases on the CPU, no gradients");
}

at::Tensor rounded(const at::Tensor& tokens) {
  at::Tensor result = at::empty_like(tokens, at::kBFloat16);
  const int64_t width = tokens.size(-1);
  for_each_block(rows_of(tokens), width, [&](int64_t first, int64_t rows) {
    round_to_bfloat16(tokens.const_data_ptr<float>() + first * width,
                      result.mutable_data_ptr<BFloat16>() + first * width, rows * width);
  });
  return result;
}

at::Tensor rounded_rows(const float* values, int64_t rows, int64_t columns) {
  at::Tensor result = at::empty({rows, columns}, at::kBFloat16);
  round_to_bfloat16(values, result.mutable_data_ptr<BFloat16>(), rows * columns);
  return result;
}

// Pointers to the first number of one head of one sample, whose rows lie `width` apart.
struct Head {
  const BFloat16 *query, *key, *value;
  float* output;
  int64_t tokens, width, size;  // of the head: width / heads
};

// Queries [first, first + rows).
void attend(const Head& head, int64_t first, int64_t rows) {
  const int64_t stride = whole_vectors(head.tokens);
  const at::Tensor space = at::empty({rows, stride + 1}, at::kFloat);
  float *weights = space.mutable_data_ptr<float>(), *sums = weights + rows * stride;
  multiply(rows, head.tokens, head.size, {head.query + first * head.width, head.width}, {head.key, head.width, true},
           weights, stride);
  exponentials(weights, sums, 1 / std::sqrt(static_cast<float>(head.size)), rows, head.tokens, stride);
  const at::Tensor narrow = at::empty({rows, stride}, at::kBFloat16);
  round_shares_to_bfloat16(weights, sums, narrow.mutable_data_ptr<BFloat16>(), rows, stride);
  multiply(rows, head.size, head.tokens, {narrow.const_data_ptr<BFloat16>(), stride}, {head.value, head.width},
           head.output + first * head.width, head.width);
}

}  // namespace

at::Tensor bfloat16_linear(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias) {
  check_kernels_apply({tokens, bias});
  const int64_t in = weight.size(1), out = weight.size(0);
  auto shape = tokens.sizes().vec();
  shape.back() = out;
  at::Tensor result = at::empty(shape, tokens.options());
  const float* from = tokens.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  const Bfloat16View matrix{weight.const_data_ptr<BFloat16>(), in, true};
  for_each_block(rows_of(tokens), out, [&](int64_t first, int64_t rows) {
    const at::Tensor narrow = rounded_rows(from + first * in, rows, in);
    multiply(rows, out, in, {narrow.const_data_ptr<BFloat16>(), in}, matrix, to + first * out, out);
    if (bias.defined()) add_bias(to + first * out, bias.const_data_ptr<float>(), rows, out);
  });
  return result;
}

void run_block(const Bfloat16FeedForward& layer, const BFloat16* in, int64_t rows, float* out) {
  const at::Tensor space = at::empty({rows, layer.hidden}, at::kFloat);
  float* hidden = space.mutable_data_ptr<float>();
  multiply(rows, layer.hidden, layer.width, {in, layer.width}, layer.w1, hidden, layer.hidden);
  (layer.gelu ? add_bias_and_gelu : add_bias)(hidden, layer.b1, rows, layer.hidden);
  const at::Tensor narrow = rounded_rows(hidden, rows, layer.hidden);
  multiply(rows, layer.width, layer.hidden, {narrow.const_data_ptr<BFloat16>(), layer.hidden}, layer.w2, out,
           layer.width);
  if (layer.b2 != nullptr) add_bias(out, layer.b2, rows, layer.width);
}

at::Tensor bfloat16_feed_forward(const at::Tensor& tokens, const Bfloat16FeedForward& layer) {
  check_kernels_apply({tokens});
  at::Tensor result = at::empty_like(tokens);
  const float* from = tokens.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  for_each_block(rows_of(tokens), layer.hidden, [&](int64_t first, int64_t rows) {
    const at::Tensor narrow = rounded_rows(from + first * layer.width, rows, layer.width);
    run_block(layer, narrow.const_data_ptr<BFloat16>(), rows, to + first * layer.width);
  });
  return result;
}

at::Tensor bfloat16_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t heads) {
  check_kernels_apply({query, key, value});
  const int64_t samples = query.size(0), tokens = query.size(1), width = query.size(2), size = width / heads;
  const at::Tensor q = rounded(query), k = rounded(key), v = rounded(value), output = at::empty_like(query);
  constexpr int64_t kMostQueries = 256;  // short blocks cost more: each copies the head's keys and values anew
  const int64_t height = even_height(tokens, kMostQueries), blocks = quotient_up(tokens, height);
  share_among_threads(samples * heads * blocks, [&](int64_t i) {
    const int64_t offset = i / blocks / heads * tokens * width + i / blocks % heads * size, first = i % blocks * height;
    attend({q.const_data_ptr<BFloat16>() + offset, k.const_data_ptr<BFloat16>() + offset,
            v.const_data_ptr<BFloat16>() + offset, output.mutable_data_ptr<float>() + offset, tokens, width, size},
           first, std::min(height, tokens - first));
  });
  return output;
}

}  // namespace acm::nn
