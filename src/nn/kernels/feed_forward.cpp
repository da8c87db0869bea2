#include "nn/kernels/feed_forward.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>

#include <algorithm>

#include "core/quotient.h"
#include "nn/kernels/bfloat16_layers.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"

namespace acm::nn {
namespace {

int64_t rows_of(const at::Tensor& tokens) { return tokens.numel() / tokens.size(-1); }

}  // namespace

bool kernels_fit(std::initializer_list<at::Tensor> tensors) {
  if (at::autocast::is_autocast_enabled(at::kCPU)) return false;  // products are to run in other numbers
  return std::ranges::all_of(tensors, [](const at::Tensor& tensor) {
    return !tensor.defined() ||
           (tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous());
  });
}

bool kernels_apply(std::initializer_list<at::Tensor> tensors) {
  const bool gradients = at::GradMode::is_enabled() && std::ranges::any_of(tensors, [](const at::Tensor& tensor) {
                           return tensor.defined() && tensor.requires_grad();
                         });
  return !gradients && kernels_fit(tensors);
}

int64_t sharing_threads() { return at::in_parallel_region() ? 1 : at::get_num_threads(); }

void share_among_threads(int64_t count, const std::function<void(int64_t)>& work) {
  const int64_t threads = std::min(count, sharing_threads());
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    const OneThread one_thread;
    for (int64_t thread = begin; thread < end; ++thread) {
      for (int64_t i = thread; i < count; i += threads) work(i);
    }
  });
}

void share_rows_among_threads(int64_t rows, int64_t height, const std::function<void(int64_t, int64_t)>& work) {
  share_among_threads(quotient_up(rows, height),
                      [&](int64_t block) { work(block * height, std::min(height, rows - block * height)); });
}

int64_t most_block_rows(int64_t rows, int64_t columns) {
  constexpr int64_t kBlocks = 8, kLeast = 96, kMostNumbers = int64_t{1} << 20;
  return std::max(kLeast, std::min(quotient_up(rows, kBlocks), kMostNumbers / columns));
}

int64_t even_height(int64_t rows, int64_t most) { return quotient_up(rows, quotient_up(rows, most)); }

void for_each_block(int64_t rows, int64_t columns, const std::function<void(int64_t, int64_t)>& work) {
  if (rows > 0) share_rows_among_threads(rows, even_height(rows, most_block_rows(rows, columns)), work);
}

at::Tensor linear(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& bias) {
  if (weight.scalar_type() == at::kBFloat16) return bfloat16_linear(tokens, weight, bias);
  if (!kernels_apply({tokens, weight, bias})) return at::linear(tokens, weight, bias);
  const int64_t in = weight.size(1), out = weight.size(0);
  auto shape = tokens.sizes().vec();
  shape.back() = out;
  at::Tensor result = at::empty(shape, tokens.options());
  const float* from = tokens.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  if (few_outputs(out, in)) {  // as gates have
    for_each_block(rows_of(tokens), out, [&](int64_t first, int64_t rows) {
      multiply_to_few(rows, out, in, from + first * in, weight.const_data_ptr<float>(),
                      bias.defined() ? bias.const_data_ptr<float>() : nullptr, to + first * out);
    });
    return result;
  }
  const MatrixView matrix{weight.const_data_ptr<float>(), in, true};
  for_each_block(rows_of(tokens), out, [&](int64_t first, int64_t rows) {
    multiply(rows, out, in, {from + first * in, in}, matrix, to + first * out, out);
    if (bias.defined()) add_bias(to + first * out, bias.const_data_ptr<float>(), rows, out);
  });
  return result;
}

void run_block(const FeedForward& layer, const float* in, int64_t rows, float* scratch, float* out) {
  multiply(rows, layer.hidden, layer.width, {in, layer.width}, layer.w1, scratch, layer.hidden);
  (layer.gelu ? add_bias_and_gelu : add_bias)(scratch, layer.b1, rows, layer.hidden);
  multiply(rows, layer.width, layer.hidden, {scratch, layer.hidden}, layer.w2, out, layer.width);
  if (layer.b2 != nullptr) add_bias(out, layer.b2, rows, layer.width);
}

at::Tensor feed_forward(const at::Tensor& tokens, const FeedForward& layer) {
  at::Tensor result = at::empty_like(tokens);
  const float* from = tokens.const_data_ptr<float>();
  float* to = result.mutable_data_ptr<float>();
  for_each_block(rows_of(tokens), layer.hidden, [&](int64_t first, int64_t rows) {
    const at::Tensor scratch = at::empty({rows, layer.hidden}, tokens.options());
    run_block(layer, from + first * layer.width, rows, scratch.mutable_data_ptr<float>(), to + first * layer.width);
  });
  return result;
}

}  // namespace acm::nn
