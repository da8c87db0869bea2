#include <ATen/ops/_softmax_backward_data.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "acm/gate.h"
#include "nn/kernels/feed_forward.h"

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

// The first of the largest; one that is not a number counts as the largest, as for at::argmax. Without branches, which
// tokens would take as no processor foresees.
int64_t largest(const float* logits, int64_t classes) {
  int64_t best = 0;
  for (int64_t i = 1; i < classes; ++i) {
    const bool larger = !(logits[i] <= logits[best]) & !std::isnan(logits[best]);
    best = larger ? i : best;
  }
  return best;
}

at::Tensor gumbel_noise(const at::Tensor& uniform) { return -(-uniform.log()).log(); }

at::Tensor straight_through_choice(const at::Tensor& logits, const at::Tensor& noise, double temperature) {
  return StraightThroughChoice::apply(logits, noise, temperature);
}

at::Tensor best_class(const at::Tensor& logits, int64_t least) {
  if (!nn::kernels_fit({logits})) return logits.argmax(-1) + least;
  constexpr int64_t kRowsAtOnce = 1024;
  const int64_t classes = logits.size(-1);
  at::Tensor best = at::empty(logits.sizes().slice(0, logits.dim() - 1), logits.options().dtype(at::kLong));
  const float* values = logits.const_data_ptr<float>();
  int64_t* choices = best.mutable_data_ptr<int64_t>();
  nn::share_rows_among_threads(best.numel(), kRowsAtOnce, [&](int64_t first, int64_t rows) {
    for (int64_t row = first; row < first + rows; ++row)
      choices[row] = least + largest(values + row * classes, classes);
  });
  return best;
}

}  // namespace acm
