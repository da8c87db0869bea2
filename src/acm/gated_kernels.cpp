#include "acm/gated_kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <span>

#include "nn/kernels/feed_forward.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"

namespace acm {
namespace {

constexpr int64_t kNarrow = 192;  // the most hidden units of a block for which tiles without copies were faster

nn::FeedForward first_learners(int64_t count, const LearnerWeights& weights, const at::Tensor& bias_sums) {
  const int64_t width = weights.w1.size(0), hidden = weights.w1.size(1);
  return {.w1 = {weights.w1.const_data_ptr<float>(), hidden},
          .w2 = {weights.w2.const_data_ptr<float>(), width},
          .b1 = weights.b1.const_data_ptr<float>(),
          .b2 = bias_sums.defined() ? bias_sums.const_data_ptr<float>() + (count - 1) * width : nullptr,
          .width = width,
          .hidden = count * (hidden / weights.learners),
          .gelu = weights.activation == Activation::kGelu};
}

// Where products are so narrow that copies of the tokens would take as long. Hidden units beyond those of the block
// fill up vectors, which takes no longer, and are not read.
void run_narrow_block(const nn::FeedForward& layer, const float* tokens, const TokenBlock& block, float* output) {
  const auto rows = static_cast<int64_t>(block.tokens.size());
  const int64_t columns = std::min(nn::whole_vectors(layer.hidden), layer.w1.stride);
  const at::Tensor space = at::empty({rows, columns}, at::kFloat);
  float* hidden = space.mutable_data_ptr<float>();
  nn::multiply_rows(rows, columns, layer.width, {tokens, layer.width, block.tokens.data()}, layer.w1.data,
                    layer.w1.stride, layer.b1, {hidden, columns});
  if (layer.gelu) nn::gelu(hidden, rows * columns);
  nn::multiply_rows(rows, layer.width, layer.hidden, {hidden, columns}, layer.w2.data, layer.w2.stride, layer.b2,
                    {output, layer.width, block.tokens.data()});
}

// Tokens that stand beside each other are read and written where they are, others through rows of the scratch space.
void run_block(const nn::FeedForward& layer, const float* tokens, const TokenBlock& block, float* output) {
  if (layer.hidden <= kNarrow) return run_narrow_block(layer, tokens, block, output);
  const int64_t width = layer.width, rows = static_cast<int64_t>(block.tokens.size());
  const bool in_place = block.consecutive();
  const at::Tensor space = at::empty({rows * (layer.hidden + (in_place ? 0 : 2 * width))}, at::kFloat);
  float* hidden = space.mutable_data_ptr<float>();
  if (in_place) {
    const int64_t begin = block.tokens.front() * width;
    return nn::run_block(layer, tokens + begin, rows, hidden, output + begin);
  }
  float *in = hidden + rows * layer.hidden, *out = in + rows * width;
  for (int64_t row = 0; row < rows; ++row) std::copy_n(tokens + block.tokens[row] * width, width, in + row * width);
  nn::run_block(layer, in, rows, hidden, out);
  for (int64_t row = 0; row < rows; ++row) std::copy_n(out + row * width, width, output + block.tokens[row] * width);
}

}  // namespace

bool gated_kernels_apply(const at::Tensor& tokens, const LearnerWeights& weights) {
  return nn::kernels_apply({tokens, weights.w1, weights.b1, weights.w2, weights.b2});
}

at::Tensor run_token_blocks(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights,
                            const RunTokenBlock& run) {
  const int64_t width = tokens.size(1), learner_width = weights.b1.numel() / weights.learners;
  const at::Tensor output = at::empty_like(tokens), counts = choice.contiguous();
  const TokenOrder order({counts.const_data_ptr<int64_t>(), static_cast<size_t>(tokens.size(0))}, weights.learners,
                         learner_width);
  const float* from = tokens.const_data_ptr<float>();
  float* to = output.mutable_data_ptr<float>();
  nn::share_among_threads(static_cast<int64_t>(order.blocks().size()), [&](int64_t i) {
    const TokenBlock& block = order.blocks()[static_cast<size_t>(i)];
    if (block.count > 0) return run(from, block, to);
    for (const int64_t token : block.tokens) std::fill_n(to + token * width, width, 0.0f);
  });
  return output;
}

at::Tensor run_first_learners_by_kernels(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights) {
  return nn::feed_forward(tokens, first_learners(count, weights, bias_sums(weights)));
}

at::Tensor run_chosen_learners_by_kernels(const at::Tensor& tokens, const at::Tensor& choice,
                                          const LearnerWeights& weights) {
  const at::Tensor sums = bias_sums(weights);
  return run_token_blocks(tokens, choice, weights, [&](const float* from, const TokenBlock& block, float* to) {
    run_block(first_learners(block.count, weights, sums), from, block, to);
  });
}

}  // namespace acm
