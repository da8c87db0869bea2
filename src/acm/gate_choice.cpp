#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "acm/gate.h"

namespace acm {
namespace {

// `hard - soft + soft` would leave rounding dust in the one-hot, which turns equal shares into differences with a sign.
struct StraightThroughChoice : torch::autograd::Function<StraightThroughChoice> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& noise, double temperature) {
    const at::Tensor noisy = logits + noise;
    context->save_for_backward({(noisy / temperature).softmax(-1)});
    context->saved_data["temperature"] = temperature;
    return at::zeros_like(noisy).scatter_(-1, best_class(noisy).unsqueeze(-1), 1.0);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor soft = context->get_saved_variables()[0];
    const at::Tensor of_logits = at::_softmax_backward_data(gradients[0], soft, -1, soft.scalar_type());
    return {of_logits / context->saved_data["temperature"].toDouble(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor gumbel_noise(const at::Tensor& uniform) { return -(-uniform.log()).log(); }

at::Tensor straight_through_choice(const at::Tensor& logits, const at::Tensor& noise, double temperature) {
  return StraightThroughChoice::apply(logits, noise, temperature);
}

at::Tensor best_class(const at::Tensor& logits) { return logits.argmax(-1); }

}  // namespace acm
