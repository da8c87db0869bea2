#include "acm/gate_shift.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>

namespace acm {

GateShift::GateShift(nn::Backbone& model) {
  for (const auto& site : acm_sites(model)) {
    TORCH_CHECK(site.layer->gate(), "no gate at ", site.site->name);
    const auto& shape = site.layer->shape();
    const auto bias = site.layer->gate()->last_bias();
    biases_.push_back(
        {bias, bias.detach().clone(), at::arange(shape.min_k, shape.learners + 1, bias.options().dtype(at::kDouble))});
  }
}

void GateShift::set(double shift) {
  const at::NoGradGuard no_grad;
  for (auto& [bias, original, counts] : biases_) bias.copy_(original.to(at::kDouble).add(counts, shift));
}

}  // namespace acm
