#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nn/kernels/bfloat16_product.h"

namespace acm::nn {

// Layers of a forward pass without gradients on the CPU whose products are in bfloat16: their operands, that is weights
// and tokens, are rounded to 8 bits, and all else is float32: sums, biases, gelu, softmax, and what goes in and comes
// out. Blocks are cut as in feed_forward.h: the bits are the same for any number of threads.

// tokens weight' + bias. tokens float32 [..., in], weight bfloat16 [out, in], bias float32 [out] or undefined -> [...,
// out].
at::Tensor bfloat16_linear(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias);

// As FeedForward (feed_forward.h).
struct Bfloat16FeedForward {
  Bfloat16View w1, w2;  // [width, hidden], [hidden, width]
  const float* b1;      // [hidden]
  const float* b2;      // [width], or nullptr: none
  int64_t width, hidden;
  bool gelu;
};
// tokens float32 [..., width] -> the same shape.
at::Tensor bfloat16_feed_forward(const at::Tensor& tokens, const Bfloat16FeedForward& layer);

// One block, on the thread that calls. in and out [rows, width] packed.
void run_block(const Bfloat16FeedForward& layer, const c10::BFloat16* in, int64_t rows, float* out);

// softmax(q k' / sqrt(size of a head)) v for each sample and head, as attention() of attention.h. q, k and v float32.
at::Tensor bfloat16_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t heads);

}  // namespace acm::nn
