#include "acm/distillation_loss.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "acm/ordered_sum.h"
#include "core/error.h"

namespace acm {
namespace {

// The loss as a function of the hidden values and what follows them. Of N prefixes only the errors E_n = h(z, n) -
// target are kept, and the gradient of learner n's output is their sum over m >= n (nested) or E_n itself (greedy),
// times 2 scale.
struct PrefixErrors : torch::autograd::Function<PrefixErrors> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden, const at::Tensor& w2,
                            const std::optional<at::Tensor>& b2, const at::Tensor& target, int64_t learners,
                            bool nested, double scale) {
    const int64_t width = w2.size(0) / learners;
    const at::Tensor errors = at::empty({learners, target.size(0), target.size(1)}, target.options());
    for (int64_t n = 0; n < learners; ++n) {
      at::Tensor error = errors.select(0, n);
      at::addmm_out(error, n == 0 ? target : errors.select(0, n - 1), hidden.narrow(1, n * width, width),
                    w2.narrow(0, n * width, width), /*beta=*/n == 0 ? -1 : 1);
      if (b2) error.add_(b2->select(0, n));
    }
    context->save_for_backward({hidden, w2, b2.value_or(at::Tensor()), errors});
    context->saved_data["nested"] = nested;
    context->saved_data["scale"] = scale;
    return ordered_sum_of_squares(errors) * scale;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &hidden = saved[0], &w2 = saved[1], &b2 = saved[2], &errors = saved[3];
    const bool nested = context->saved_data["nested"].toBool();
    const at::Tensor factor = gradients[0] * (2 * context->saved_data["scale"].toDouble());
    const int64_t learners = errors.size(0), width = w2.size(0) / learners;

    // The factor goes into the small matrices rather than into the errors.
    const at::Tensor scaled_w2 = w2 * factor;
    const at::Tensor hidden_gradient = at::empty_like(hidden), w2_gradient = at::empty_like(w2);
    const at::Tensor b2_gradient = b2.defined() ? at::empty_like(b2) : at::Tensor();
    at::Tensor output_gradient = nested ? at::zeros_like(errors[0]) : at::Tensor();
    for (int64_t n = learners - 1; n >= 0; --n) {
      output_gradient = nested ? output_gradient.add_(errors.select(0, n)) : errors.select(0, n);
      at::Tensor hidden_part = hidden_gradient.narrow(1, n * width, width);
      at::Tensor w2_part = w2_gradient.narrow(0, n * width, width);
      at::mm_out(hidden_part, output_gradient, scaled_w2.narrow(0, n * width, width).t());
      at::mm_out(w2_part, hidden.narrow(1, n * width, width).t(), output_gradient);
      if (b2.defined()) b2_gradient.select(0, n).copy_(output_gradient.sum(0));
    }
    return {hidden_gradient,
            w2_gradient.mul_(factor),
            b2.defined() ? b2_gradient * factor : at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
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
  const std::optional<at::Tensor> b2 = layer.b2.defined() ? std::optional(layer.b2) : std::nullopt;
  return PrefixErrors::apply(layer.hidden(tokens), layer.w2, b2, target, layer.shape().learners,
                             objective == Objective::kNested, scale);
}

}  // namespace acm
