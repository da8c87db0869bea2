#include "nn/kernels/bfloat16_layers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

#include "core/quotient.h"
#include "nn/kernels/bfloat16_product.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/pairs_product.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

using c10::BFloat16;
using Form = Bfloat16Weight::Form;

int64_t rows_of(const at::Tensor& tokens) { return tokens.numel() / tokens.size(-1); }

void check_kernels_apply(std::initializer_list<at::Tensor> tensors) {
  TORCH_CHECK(kernels_apply(tensors), "products in bfloat16 take float32 tokens and biases on the CPU, no gradients");
}

at::Tensor rounded_rows(const float* values, int64_t rows, int64_t columns) {
  at::Tensor result = at::empty({rows, columns}, at::kBFloat16);
  round_to_bfloat16(values, result.mutable_data_ptr<BFloat16>(), rows * columns);
  return result;
}

// to = a [rows, inner] times the first rows and columns of b, + bias [columns] (nullptr: none).
void multiply_weight(int64_t rows, int64_t columns, int64_t inner, RowsView<const BFloat16> a, const Bfloat16Weight& b,
                     const float* bias, RowsView<float> to) {
  if (b.form == Form::kPairs) return multiply_pairs(rows, columns, inner, a, {b.data, b.inner, b.columns}, bias, to);
  TORCH_CHECK(to.order == nullptr && to.stride == columns, "the BLAS writes rows that lie side by side");
  const bool transposed = b.form == Form::kTransposed;
  multiply(rows, columns, inner, {a.data, a.stride}, {b.data, transposed ? b.inner : b.columns, transposed}, to.data,
           to.stride);
  if (bias != nullptr) add_bias(to.data, bias, rows, columns);
}

// Of so many numbers at a time: what one pass leaves of them is in the core's first cache for the next.
int64_t rows_at_once(int64_t columns) { return quotient_up(4096, columns); }

}  // namespace

at::Tensor bfloat16_weight(const at::Tensor& matrix, bool transposed, int64_t slice) {
  const at::Tensor narrow = matrix.to(at::kBFloat16).contiguous();
  const int64_t inner = matrix.size(transposed ? 1 : 0), columns = matrix.size(transposed ? 0 : 1);
  if (!prefers_pairs() || slice % 2 != 0 || inner % 2 != 0 || whole_vectors(columns) != columns) return narrow;
  at::Tensor pairs = at::empty({inner / 2, columns, 2}, narrow.options());
  lay_out_pairs(narrow.const_data_ptr<BFloat16>(), transposed ? 1 : columns, transposed ? inner : 1, inner, columns,
                pairs.mutable_data_ptr<BFloat16>());
  return pairs;
}

Bfloat16Weight view_weight(const at::Tensor& weight, int64_t inner, int64_t columns, bool transposed) {
  const Form form = weight.dim() == 3 ? Form::kPairs : transposed ? Form::kTransposed : Form::kPlain;
  return {weight.const_data_ptr<BFloat16>(), inner, columns, form};
}

at::Tensor bfloat16_linear(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias) {
  check_kernels_apply({tokens, bias});
  const int64_t in = tokens.size(-1), out = weight.numel() / in;
  auto shape = tokens.sizes().vec();
  shape.back() = out;
  at::Tensor result = at::empty(shape, tokens.options());
  const float *from = tokens.const_data_ptr<float>(), *added = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  float* to = result.mutable_data_ptr<float>();
  const Bfloat16Weight matrix = view_weight(weight, in, out, true);
  for_each_block(rows_of(tokens), out, [&](int64_t first, int64_t rows) {
    const at::Tensor narrow = rounded_rows(from + first * in, rows, in);
    multiply_weight(rows, out, in, {narrow.const_data_ptr<BFloat16>(), in}, matrix, added, {to + first * out, out});
  });
  return result;
}

// Hidden units beyond those of the layer may fill up vectors of pairs; they are not read.
void run_block(const Bfloat16FeedForward& layer, const BFloat16* in, int64_t rows, RowsView<float> out) {
  const int64_t columns =
      layer.w1.form == Form::kPairs ? std::min(whole_vectors(layer.hidden), layer.w1.columns) : layer.hidden;
  const at::Tensor space = at::empty({rows, columns}, at::kFloat), narrow = at::empty({rows, columns}, at::kBFloat16);
  float* sums = space.mutable_data_ptr<float>();
  BFloat16* hidden = narrow.mutable_data_ptr<BFloat16>();
  multiply_weight(rows, columns, layer.width, {in, layer.width}, layer.w1, nullptr, {sums, columns});
  for (int64_t row = 0, some = rows_at_once(columns); row < rows; row += some) {
    const int64_t count = std::min(some, rows - row), begin = row * columns;
    (layer.gelu ? add_bias_and_gelu : add_bias)(sums + begin, layer.b1, count, columns);
    round_to_bfloat16(sums + begin, hidden + begin, count * columns);
  }
  multiply_weight(rows, layer.width, layer.hidden, {hidden, columns}, layer.w2, layer.b2, out);
}

at::Tensor bfloat16_feed_forward(const at::Tensor& tokens, const Bfloat16FeedForward& layer) {
  check_kernels_apply({tokens});
  at::Tensor result = at::empty_like(tokens);
  const float* from = tokens.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  const int64_t width = layer.width;
  for_each_block(rows_of(tokens), layer.hidden, [&](int64_t first, int64_t rows) {
    const at::Tensor narrow = rounded_rows(from + first * width, rows, width);
    run_block(layer, narrow.const_data_ptr<BFloat16>(), rows, {to + first * width, width});
  });
  return result;
}

}  // namespace acm::nn
