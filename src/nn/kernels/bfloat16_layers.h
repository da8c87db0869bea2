#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nn/kernels/row_product.h"

namespace acm::nn {

// Layers of a forward pass without gradients on the CPU whose products are in bfloat16: their operands, that is weights
// and tokens, are rounded to 8 bits, and all else is float32: sums, biases, gelu, softmax, and what goes in and comes
// out. Blocks are cut as in feed_forward.h: the bits are the same for any number of threads.

// A matrix of weights. Where the processor wants pairs, sizes permit it (inner even, columns a multiple of 16) and
// bfloat16_weight made it so, it lies in pairs (pairs_product.h); else it is plain, or its transpose is, and the BLAS
// multiplies.
struct Bfloat16Weight {
  const c10::BFloat16* data;
  int64_t inner, columns;
  enum class Form { kPlain, kTransposed, kPairs } form;
};
// From a float32 matrix [inner, columns], or `transposed` [columns, inner], of which products may take the first
// multiples of `slice` rows: bfloat16 of the same shape, or [inner / 2, columns, 2] where it lies in pairs.
at::Tensor bfloat16_weight(const at::Tensor& matrix, bool transposed, int64_t slice);
// Of such a tensor.
Bfloat16Weight view_weight(const at::Tensor& weight, int64_t inner, int64_t columns, bool transposed);

// tokens weight' + bias. tokens float32 [..., in], weight bfloat16 [out, in] or the same in pairs, bias float32 [out]
// or undefined -> [..., out].
at::Tensor bfloat16_linear(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias);

// As FeedForward (feed_forward.h).
struct Bfloat16FeedForward {
  Bfloat16Weight w1, w2;  // [width, hidden or more], [hidden or more, width]
  const float* b1;        // [hidden], or as many as w1 has columns where that lies in pairs
  const float* b2;        // [width], or nullptr: none
  int64_t width, hidden;
  bool gelu;
};
// tokens float32 [..., width] -> the same shape.
at::Tensor bfloat16_feed_forward(const at::Tensor& tokens, const Bfloat16FeedForward& layer);

// One block, on the thread that calls. in [rows, width] packed; rows of `out` may stand anywhere if w2 is in pairs,
// else they are packed.
void run_block(const Bfloat16FeedForward& layer, const c10::BFloat16* in, int64_t rows, RowsView<float> out);

}  // namespace acm::nn
