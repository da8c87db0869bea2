#include "acm/bfloat16_gated_kernels.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "acm/gated_kernels.h"
#include "nn/kernels/bfloat16_layers.h"
#include "nn/kernels/bfloat16_product.h"
#include "nn/kernels/feed_forward.h"

namespace acm {
namespace {

using c10::BFloat16;

nn::Bfloat16FeedForward first_learners(int64_t count, const LearnerWeights& weights, const at::Tensor& bias_sums) {
  const int64_t hidden = weights.b1.numel(), width = weights.w1.numel() / hidden;
  return {.w1 = nn::view_weight(weights.w1, width, hidden, false),
          .w2 = nn::view_weight(weights.w2, hidden, width, false),
          .b1 = weights.b1.const_data_ptr<float>(),
          .b2 = bias_sums.defined() ? bias_sums.const_data_ptr<float>() + (count - 1) * width : nullptr,
          .width = width,
          .hidden = count * (hidden / weights.learners),
          .gelu = weights.activation == Activation::kGelu};
}

// The rows are rounded on the way together, and results are written where they belong, through rows of scratch space
// where the BLAS cannot do that.
void run_block(const nn::Bfloat16FeedForward& layer, const float* tokens, const TokenBlock& block, float* output) {
  const int64_t width = layer.width, rows = static_cast<int64_t>(block.tokens.size());
  const at::Tensor narrow = at::empty({rows, width}, at::kBFloat16);
  BFloat16* in = narrow.mutable_data_ptr<BFloat16>();
  if (block.consecutive()) {
    const int64_t begin = block.tokens.front() * width;
    nn::round_to_bfloat16(tokens + begin, in, rows * width);
    return nn::run_block(layer, in, rows, {output + begin, width});
  }
  nn::round_rows_to_bfloat16({tokens, width, block.tokens.data()}, rows, width, in);
  if (layer.w2.form == nn::Bfloat16Weight::Form::kPairs)
    return nn::run_block(layer, in, rows, {output, width, block.tokens.data()});
  const at::Tensor space = at::empty({rows, width}, at::kFloat);
  float* out = space.mutable_data_ptr<float>();
  nn::run_block(layer, in, rows, {out, width});
  for (int64_t row = 0; row < rows; ++row) std::copy_n(out + row * width, width, output + block.tokens[row] * width);
}

}  // namespace

bool in_bfloat16(const LearnerWeights& weights) { return weights.w1.scalar_type() == at::kBFloat16; }

at::Tensor run_first_learners_in_bfloat16(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights) {
  return nn::bfloat16_feed_forward(tokens, first_learners(count, weights, bias_sums(weights)));
}

at::Tensor run_chosen_learners_in_bfloat16(const at::Tensor& tokens, const at::Tensor& choice,
                                           const LearnerWeights& weights) {
  TORCH_CHECK(nn::kernels_apply({tokens, weights.b1, weights.b2}),
              "products in bfloat16 take float32 tokens and biases on the CPU, no gradients");
  const at::Tensor sums = bias_sums(weights);
  return run_token_blocks(tokens, choice, weights, [&](const float* from, const TokenBlock& block, float* to) {
    run_block(first_learners(block.count, weights, sums), from, block, to);
  });
}

}  // namespace acm
