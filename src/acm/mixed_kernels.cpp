#include "acm/mixed_kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "nn/kernels/feed_forward.h"
#include "nn/kernels/vector_math.h"

namespace acm {
namespace {

float* row(const at::Tensor& matrix, int64_t index) {
  return matrix.defined() ? matrix.mutable_data_ptr<float>() + index * matrix.size(1) : nullptr;
}

}  // namespace

MixedPass mixed_by_kernels(const at::Tensor& tokens, const at::Tensor& shares, const LearnerWeights& weights) {
  const LearnerPointers learners(weights);
  const int64_t rows = tokens.size(0), width = learners.width, hidden = learners.hidden;
  const auto options = tokens.options().requires_grad(false);
  const MixedPass pass{at::empty({rows, width}, options), at::empty({rows, hidden}, options),
                       learners.gelu ? at::empty({rows, hidden}, options) : at::Tensor()};
  nn::share_rows_among_threads(rows, kBlockRows, [&](int64_t first, int64_t count) {
    const at::Tensor scaled = at::empty({count, hidden}, options);
    float *values = row(pass.values, first), *output = row(pass.output, first);
    run_first_layer(learners, row(tokens, first), count, values, row(pass.slopes, first));
    nn::scale_parts(values, row(shares, first), row(scaled, 0), count, learners.learners, learners.each);
    nn::multiply(count, width, hidden, {row(scaled, 0), hidden}, {learners.w2, width}, output, width);
    if (learners.b2 != nullptr)
      nn::multiply_and_add(count, width, learners.learners, {row(shares, first), learners.learners},
                           {learners.b2, width}, output, width);
  });
  return pass;
}

MixedGradients mixed_gradients_by_kernels(const at::Tensor& tokens, const at::Tensor& shares,
                                          const LearnerWeights& weights, const MixedPass& pass,
                                          const at::Tensor& of_output) {
  const LearnerPointers learners(weights);
  const int64_t rows = tokens.size(0), width = learners.width, hidden = learners.hidden;
  const MixedGradients gradients{at::empty_like(tokens), at::empty_like(shares), LearnerGradients::zeros(weights)};
  const at::Tensor space = at::empty({2, std::min(rows, kChunkRows), hidden}, pass.values.options());
  const at::Tensor scaled = space.select(0, 0), of_values = space.select(0, 1);
  for_each_part(rows, kChunkRows, [&](int64_t chunk, int64_t chunk_rows) {
    nn::share_rows_among_threads(chunk_rows, kBlockRows, [&](int64_t block, int64_t count) {
      const int64_t first = chunk + block;
      const float *values = row(pass.values, first), *factors = row(shares, first);
      nn::multiply(count, hidden, width, {row(of_output, first), width}, {learners.w2, width, true},
                   row(of_values, block), hidden);
      nn::scale_parts(values, factors, row(scaled, block), count, learners.learners, learners.each);
      nn::scale_parts_backward(row(of_values, block), values, row(pass.slopes, first), factors,
                               row(gradients.shares, first), count, learners.learners, learners.each);
      nn::multiply(count, width, hidden, {row(of_values, block), hidden}, {learners.w1, hidden, true},
                   row(gradients.tokens, first), width);
      if (learners.b2 != nullptr)
        nn::multiply_and_add(count, learners.learners, width, {row(of_output, first), width},
                             {learners.b2, width, true}, row(gradients.shares, first), learners.learners);
    });
    nn::share_among_threads(learners.learners, [&](int64_t n) {
      for_each_part(chunk_rows, kBlockRows, [&](int64_t block, int64_t count) {
        const int64_t first = chunk + block;
        add_gradients(learners, n,
                      {count, row(tokens, first), row(scaled, block), row(of_values, block), row(of_output, first)},
                      gradients.learners);
        if (learners.b2 != nullptr)
          nn::multiply_and_add(1, width, count, {row(shares, first) + n, learners.learners, true},
                               {row(of_output, first), width}, row(gradients.learners.b2, n), width);
      });
    });
  });
  return gradients;
}

}  // namespace acm
