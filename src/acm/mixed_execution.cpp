#include "acm/mixed_execution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "acm/mixed_kernels.h"
#include "nn/kernels/feed_forward.h"

namespace acm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct MixedByKernels : torch::autograd::Function<MixedByKernels> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& tokens, const at::Tensor& shares,
                            const at::Tensor& w1, const at::Tensor& b1, const at::Tensor& w2,
                            const std::optional<at::Tensor>& b2, int64_t activation) {
    const LearnerWeights weights{
        w1, b1, w2, b2.value_or(at::Tensor()), shares.size(1), static_cast<Activation>(activation)};
    const MixedPass pass = mixed_by_kernels(tokens, shares, weights);
    context->save_for_backward({tokens, shares, w1, b1, w2, weights.b2, pass.values, pass.slopes});
    context->saved_data["activation"] = activation;
    return pass.output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &tokens = saved[0], &shares = saved[1];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const LearnerWeights weights{saved[2], saved[3], saved[4], saved[5], shares.size(1), activation};
    const MixedGradients all =
        mixed_gradients_by_kernels(tokens, shares, weights, {{}, saved[6], saved[7]}, gradients[0].contiguous());
    const LearnerGradients& of = all.learners;
    return {all.tokens, all.shares, of.w1, of.b1, of.w2, of.b2, at::Tensor()};
  }
};

at::Tensor mixed_by_operations(const at::Tensor& tokens, const at::Tensor& shares, const LearnerWeights& weights) {
  const at::Tensor values = apply(weights.activation, at::addmm(weights.b1, tokens, weights.w1));
  const at::Tensor scaled = (values.unflatten(1, {weights.learners, -1}) * shares.unsqueeze(-1)).flatten(1);
  const at::Tensor output = at::matmul(scaled, weights.w2);
  return weights.b2.defined() ? output + at::matmul(shares, weights.b2) : output;
}

}  // namespace

at::Tensor run_mixed_learners(const at::Tensor& tokens, const at::Tensor& shares, const LearnerWeights& weights) {
  const at::Tensor rows = tokens.reshape({-1, tokens.size(-1)}), row_shares = shares.reshape({-1, shares.size(-1)});
  if (!nn::kernels_fit({rows, row_shares, weights.w1, weights.b1, weights.w2, weights.b2}))
    return mixed_by_operations(rows, row_shares, weights).view(tokens.sizes());
  const auto b2 = weights.b2.defined() ? std::optional(weights.b2) : std::nullopt;
  return MixedByKernels::apply(rows, row_shares, weights.w1, weights.b1, weights.w2, b2,
                               static_cast<int64_t>(weights.activation))
      .view(tokens.sizes());
}

}  // namespace acm
