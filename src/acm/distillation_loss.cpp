#include "acm/distillation_loss.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "acm/ordered_sum.h"
#include "acm/prefix_kernels.h"
#ifdef ACM_WITH_CUDA
#include "acm/prefixes_on_gpu.h"
#endif
#include "core/error.h"

namespace acm {
namespace {

// Half the gradients of the sum of squares with respect to the learners' outputs [learners, rows, width]: E_n + E_n+1 +
// ... (nested) or E_n alone (greedy), with E_n = h(z, n) - target.
struct OutputGradients {
  at::Tensor squares;  // the sum, a float64 scalar
  at::Tensor halves;
};

// hidden [rows, N b].
OutputGradients output_gradients(const at::Tensor& hidden, const at::Tensor& target, const LearnerWeights& weights,
                                 bool nested) {
  const int64_t width = hidden.size(1) / weights.learners;
  at::Tensor errors = at::empty({weights.learners, target.size(0), target.size(1)}, hidden.options());
  const auto hidden_of = [&](int64_t n) { return hidden.narrow(1, n * width, width); };
  const auto w2_of = [&](int64_t n) { return weights.w2.narrow(0, n * width, width); };
#ifdef ACM_WITH_CUDA
  if (prefixes_on_gpu(target, weights)) {
    for (int64_t n = 0; n < weights.learners; ++n) {
      at::Tensor output = errors.select(0, n);
      at::mm_out(output, hidden_of(n), w2_of(n));
    }
    return {run_prefix_gradients_on_gpu(errors, target, weights.b2, nested), errors};
  }
#endif
  const at::Tensor wanted = target.to(hidden.scalar_type());
  for (int64_t n = 0; n < weights.learners; ++n) {
    at::Tensor error = errors.select(0, n);
    at::addmm_out(error, n == 0 ? wanted : errors.select(0, n - 1), hidden_of(n), w2_of(n), /*beta=*/n == 0 ? -1 : 1);
    if (weights.b2.defined()) error.add_(weights.b2.select(0, n));
  }
  const at::Tensor squares = ordered_sum_of_squares(errors);
  for (int64_t n = weights.learners - 2; nested && n >= 0; --n) errors.select(0, n).add_(errors.select(0, n + 1));
  return {squares, errors};
}

// PrefixLoss where tensors live: the host need not know the sum.
struct LossOfPrefixes {
  at::Tensor squares;  // float64 scalar
  LearnerGradients half_gradients;
};

LossOfPrefixes by_kernels(const at::Tensor& tokens, const at::Tensor& target, const LearnerWeights& weights,
                          bool nested) {
  PrefixLoss loss = prefix_loss_by_kernels(tokens, target, weights, nested);
  return {at::scalar_tensor(loss.squares, at::kDouble), std::move(loss.half_gradients)};
}

LossOfPrefixes by_operations(const at::Tensor& stored_tokens, const at::Tensor& target, const LearnerWeights& weights,
                             bool nested) {
  const at::Tensor tokens = stored_tokens.to(weights.w1.scalar_type());
  const int64_t learners = weights.learners, width = weights.w2.size(0) / learners;
  const at::Tensor before = at::addmm(weights.b1, tokens, weights.w1), hidden = apply(weights.activation, before);
  const OutputGradients of_outputs = output_gradients(hidden, target, weights, nested);
  LossOfPrefixes loss{of_outputs.squares, LearnerGradients::zeros(weights)};
  auto& [w1_gradient, b1_gradient, w2_gradient, b2_gradient] = loss.half_gradients;
  at::Tensor hidden_gradient = at::empty_like(hidden);
  for (int64_t n = 0; n < learners; ++n) {
    const at::Tensor of_output = of_outputs.halves.select(0, n);
    at::Tensor hidden_part = hidden_gradient.narrow(1, n * width, width);
    at::Tensor w2_part = w2_gradient.narrow(0, n * width, width);
    at::mm_out(hidden_part, of_output, weights.w2.narrow(0, n * width, width).t());
    at::mm_out(w2_part, hidden.narrow(1, n * width, width).t(), of_output);
    if (b2_gradient.defined()) b2_gradient.select(0, n).copy_(of_output.sum(0));
  }
  if (weights.activation == Activation::kGelu) hidden_gradient = at::gelu_backward(hidden_gradient, before);
  w1_gradient = tokens.t().mm(hidden_gradient);
  b1_gradient = hidden_gradient.sum(0);
  return loss;
}

// Value and gradients come from one pass over the rows, because the closed form needs nothing of what follows the loss
// but a factor.
struct DistillationLoss : torch::autograd::Function<DistillationLoss> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& w1, const at::Tensor& b1,
                            const at::Tensor& w2, const std::optional<at::Tensor>& b2, const at::Tensor& tokens,
                            const at::Tensor& target, int64_t learners, int64_t activation, bool nested, double scale) {
    const LearnerWeights weights{w1, b1, w2, b2.value_or(at::Tensor()), learners, static_cast<Activation>(activation)};
    const bool kernels = prefix_kernels_apply(tokens, target, weights);
    const LossOfPrefixes loss = (kernels ? by_kernels : by_operations)(tokens, target, weights, nested);
    context->saved_data["scale"] = scale;
    const LearnerGradients& halves = loss.half_gradients;
    context->save_for_backward({halves.w1, halves.b1, halves.w2, halves.b2});
    return loss.squares * scale;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor factor = gradients[0] * (2 * context->saved_data["scale"].toDouble());
    torch::autograd::variable_list all(10);
    const auto halves = context->get_saved_variables();
    for (size_t i = 0; i < halves.size(); ++i)
      if (halves[i].defined()) all[i] = halves[i] * factor;
    return all;
  }
};

}  // namespace

Objective objective_from(const std::string& name) {
  if (name == "nested") return Objective::kNested;
  if (name == "greedy") return Objective::kGreedy;
  throw Error(Fault::kUsage, "cannot use the objective '" + name + "': it must be \"nested\" or \"greedy\"");
}

at::Tensor distillation_loss(const AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& target,
                             Objective objective, double scale) {
  TORCH_CHECK(tokens.dim() == 2 && tokens.sizes() == target.sizes(), "tokens and target must both be [rows, width]");
  const LearnerWeights weights = layer.weights();
  const auto b2 = weights.b2.defined() ? std::optional(weights.b2) : std::nullopt;
  return DistillationLoss::apply(weights.w1, weights.b1, weights.w2, b2, tokens, target, weights.learners,
                                 static_cast<int64_t>(weights.activation), objective == Objective::kNested, scale);
}

}  // namespace acm
