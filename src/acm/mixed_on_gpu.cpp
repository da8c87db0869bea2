#include "acm/mixed_on_gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "acm/cuda/mixed_rows.h"
#include "acm/product_type.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

HiddenRows rows_of(const at::Tensor& hidden, int64_t learners, bool gelu) {
  return {hidden.scalar_type(), hidden.size(0), learners, hidden.size(1) / learners, gelu};
}

// All but shares, which are float32, in one type.
struct MixedOnGpu : torch::autograd::Function<MixedOnGpu> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& tokens, const at::Tensor& shares,
                            const at::Tensor& w1, const at::Tensor& b1, const at::Tensor& w2,
                            const std::optional<at::Tensor>& b2, bool gelu) {
    const at::Tensor before = at::addmm(b1, tokens, w1), scaled = at::empty_like(before);
    nn::check_launch(
        scale_on_gpu(rows_of(before, shares.size(1), gelu), before.const_data_ptr(), shares.const_data_ptr<float>(),
                     scaled.mutable_data_ptr(), nn::OnGpu(before.device()).stream()),
        "scale hidden units");
    context->save_for_backward({tokens, shares, w1, w2, b2.value_or(at::Tensor()), before, scaled});
    context->saved_data["gelu"] = gelu;
    at::Tensor output = at::mm(scaled, w2);
    return b2 ? output.addmm_(shares.to(output.scalar_type()), *b2) : output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &tokens = saved[0], &shares = saved[1], &w1 = saved[2], &w2 = saved[3], &b2 = saved[4];
    const at::Tensor &before = saved[5], &scaled = saved[6], of_output = gradients[0].contiguous();
    at::Tensor of_before = at::mm(of_output, w2.t()), of_shares = at::empty_like(shares), of_b2;
    nn::check_launch(
        scale_backward_on_gpu(rows_of(before, shares.size(1), context->saved_data["gelu"].toBool()),
                              of_before.mutable_data_ptr(), before.const_data_ptr(), shares.const_data_ptr<float>(),
                              of_shares.mutable_data_ptr<float>(), nn::OnGpu(before.device()).stream()),
        "find the gradients of hidden units");
    if (b2.defined()) {
      of_b2 = at::mm(shares.to(b2.scalar_type()).t(), of_output);
      of_shares += at::mm(of_output, b2.t());
    }
    return {at::mm(of_before, w1.t()),
            of_shares,
            at::mm(tokens.t(), of_before),
            of_before.sum(0),
            at::mm(scaled.t(), of_output),
            of_b2,
            at::Tensor()};
  }
};

}  // namespace

at::Tensor run_mixed_learners_on_gpu(const at::Tensor& tokens, const at::Tensor& shares,
                                     const LearnerWeights& weights) {
  const at::ScalarType type = product_type(tokens);
  const LearnerWeights w = converted(weights, type);
  const auto b2 = w.b2.defined() ? std::optional(w.b2) : std::nullopt;
  return MixedOnGpu::apply(tokens.to(type), shares.to(at::kFloat).contiguous(), w.w1, w.b1, w.w2, b2,
                           w.activation == Activation::kGelu);
}

}  // namespace acm
