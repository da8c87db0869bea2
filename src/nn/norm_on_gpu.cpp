#include "nn/norm_on_gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "nn/autocast.h"
#include "nn/cuda/residual_norm.h"
#include "nn/cuda/stream.h"

namespace acm::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Pass {
  at::Tensor sum, normalised, statistics;
};

Pass run_forward(const at::Tensor& tokens, const at::Tensor& update, const at::Tensor& weight, const at::Tensor& bias,
                 double eps, at::ScalarType type) {
  const int64_t rows = tokens.numel() / weight.size(0);
  const bool adds = update.defined();
  Pass pass{adds ? at::empty_like(tokens) : tokens, at::empty_like(tokens, tokens.options().dtype(type)),
            at::empty({rows, 2}, tokens.options())};
  check_launch(norm_on_gpu({.rows = rows,
                            .width = weight.size(0),
                            .eps = static_cast<float>(eps),
                            .tokens = tokens.const_data_ptr<float>(),
                            .weight = weight.const_data_ptr<float>(),
                            .bias = bias.const_data_ptr<float>(),
                            .update = adds ? update.const_data_ptr() : nullptr,
                            .update_type = adds ? update.scalar_type() : at::kFloat,
                            .sum = adds ? pass.sum.mutable_data_ptr<float>() : nullptr,
                            .normalised = pass.normalised.mutable_data_ptr(),
                            .normalised_type = type,
                            .statistics = pass.statistics.mutable_data_ptr<float>()},
                           OnGpu(tokens.device()).stream()),
               "normalise tokens");
  return pass;
}

struct Gradients {
  at::Tensor tokens, update, weight, bias;
};

// `of_sum` may be undefined; the gradient of an update comes in its type, if there is one.
Gradients run_backward(const variable_list& saved, const at::Tensor& of_sum, const at::Tensor& of_normalised,
                       std::optional<at::ScalarType> update_type) {
  const at::Tensor &sum = saved[0], &statistics = saved[1], &weight = saved[2];
  const int64_t rows = statistics.size(0), width = weight.size(0);
  const at::Tensor of_tokens = at::empty_like(sum), parts = at::empty({norm_parts(rows), 2, width}, sum.options());
  const bool converts = update_type && *update_type != at::kFloat;
  at::Tensor of_update = converts ? at::empty_like(sum, sum.options().dtype(*update_type)) : of_tokens;
  check_launch(norm_backward_on_gpu({.rows = rows,
                                     .width = width,
                                     .sum = sum.const_data_ptr<float>(),
                                     .statistics = statistics.const_data_ptr<float>(),
                                     .weight = weight.const_data_ptr<float>(),
                                     .of_sum = of_sum.defined() ? of_sum.const_data_ptr<float>() : nullptr,
                                     .of_normalised = of_normalised.const_data_ptr(),
                                     .normalised_type = of_normalised.scalar_type(),
                                     .of_tokens = of_tokens.mutable_data_ptr<float>(),
                                     .of_update = converts ? of_update.mutable_data_ptr() : nullptr,
                                     .update_type = update_type.value_or(at::kFloat),
                                     .parts = parts.mutable_data_ptr<float>()},
                                    OnGpu(sum.device()).stream()),
               "find the gradients of a norm");
  const at::Tensor of_parameters = parts.sum(0);
  return {of_tokens, update_type ? of_update : at::Tensor(), of_parameters[0], of_parameters[1]};
}

// Of tokens alone it gives what is normalised, with an update the sum before that.
struct NormOfSumOnGpu : torch::autograd::Function<NormOfSumOnGpu> {
  static variable_list forward(AutogradContext* context, const at::Tensor& tokens,
                               const std::optional<at::Tensor>& update, const at::Tensor& weight,
                               const at::Tensor& bias, double eps, at::ScalarType type) {
    const Pass pass = run_forward(tokens, update.value_or(at::Tensor()), weight, bias, eps, type);
    context->save_for_backward({pass.sum, pass.statistics, weight});
    context->set_materialize_grads(false);
    if (!update) return {pass.normalised};
    context->saved_data["update_type"] = update->scalar_type();
    return {pass.sum, pass.normalised};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const bool adds = gradients.size() == 2;
    const auto update_type = adds ? std::optional(context->saved_data["update_type"].toScalarType()) : std::nullopt;
    const at::Tensor of_sum = adds && gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor& of_normalised = gradients.back();
    if (!of_sum.defined() && !of_normalised.defined()) return {{}, {}, {}, {}, {}, {}};
    if (!of_normalised.defined()) return {of_sum, of_sum.to(*update_type), {}, {}, {}, {}};
    const Gradients all = run_backward(context->get_saved_variables(), of_sum, of_normalised.contiguous(), update_type);
    return {all.tokens, all.update, all.weight, all.bias, {}, {}};
  }
};

}  // namespace

bool norm_fits_gpu(const at::Tensor& tokens) {
  return tokens.is_cuda() && tokens.scalar_type() == at::kFloat && tokens.size(-1) <= kWidestNorm;
}

LayerNorm::OfSum norm_of_sum_on_gpu(const at::Tensor& tokens, const at::Tensor& update, const at::Tensor& weight,
                                    const at::Tensor& bias, double eps) {
  const at::ScalarType type = product_type(tokens);
  const at::Tensor packed = tokens.contiguous(), packed_update = update.defined() ? update.contiguous() : update;
  if (!at::GradMode::is_enabled()) {
    const Pass pass = run_forward(packed, packed_update, weight, bias, eps, type);
    return {pass.sum, pass.normalised};
  }
  const auto added = update.defined() ? std::optional(packed_update) : std::nullopt;
  const variable_list of = NormOfSumOnGpu::apply(packed, added, weight, bias, eps, type);
  return {update.defined() ? of[0] : packed, of.back()};
}

}  // namespace acm::nn
