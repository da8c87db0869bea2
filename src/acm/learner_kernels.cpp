#include "acm/learner_kernels.h"

#include <ATen/ops/zeros_like.h>

#include "nn/kernels/vector_math.h"

namespace acm {

LearnerPointers::LearnerPointers(const LearnerWeights& weights)
    : width(weights.w1.size(0)),
      hidden(weights.w1.size(1)),
      learners(weights.learners),
      each(hidden / learners),
      gelu(weights.activation == Activation::kGelu),
      w1(weights.w1.const_data_ptr<float>()),
      b1(weights.b1.const_data_ptr<float>()),
      w2(weights.w2.const_data_ptr<float>()),
      b2(weights.b2.defined() ? weights.b2.const_data_ptr<float>() : nullptr) {}

LearnerGradients LearnerGradients::zeros(const LearnerWeights& weights) {
  return {at::zeros_like(weights.w1), at::zeros_like(weights.b1), at::zeros_like(weights.w2),
          weights.b2.defined() ? at::zeros_like(weights.b2) : at::Tensor()};
}

void run_first_layer(const LearnerPointers& learners, const float* tokens, int64_t rows, float* values, float* slopes) {
  const int64_t hidden = learners.hidden;
  nn::multiply(rows, hidden, learners.width, {tokens, learners.width}, learners.first_layer(), values, hidden);
  if (!learners.gelu) return nn::add_bias(values, learners.b1, rows, hidden);
  if (slopes == nullptr) return nn::add_bias_and_gelu(values, learners.b1, rows, hidden);
  nn::add_bias_and_gelu_with_slopes(values, slopes, learners.b1, rows, hidden);
}

void add_gradients(const LearnerPointers& learners, int64_t n, const BackwardBlock& block,
                   const LearnerGradients& gradients) {
  const int64_t width = learners.width, hidden = learners.hidden, each = learners.each, first = n * each;
  nn::multiply_and_add(each, width, block.rows, {block.values + first, hidden, true}, {block.of_output, width},
                       gradients.w2.mutable_data_ptr<float>() + first * width, width);
  nn::multiply_and_add(width, each, block.rows, {block.tokens, width, true}, {block.of_values + first, hidden},
                       gradients.w1.mutable_data_ptr<float>() + first, hidden);
  nn::add_column_sums(gradients.b1.mutable_data_ptr<float>() + first, block.of_values + first, block.rows, each,
                      hidden);
}

}  // namespace acm
