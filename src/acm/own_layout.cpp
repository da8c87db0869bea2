#include "acm/own_layout.h"

#include <ATen/ops/constant_pad_nd.h>

#include "nn/cuda/row_group.h"

namespace acm {

LearnerShape shape_of(const LearnerWeights& w) { return {w.w1.size(0), w.learners, w.w1.size(1) / w.learners}; }

at::Tensor grouped(const at::Tensor& weight) {
  using nn::kRowGroup;
  return weight.t().reshape({-1, 4, kRowGroup / 8, 2, weight.size(0)}).transpose(1, 2).reshape(weight.t().sizes());
}

bool has_own_kernel(const Gate& gate) {
  return gate.config().depth == 2 && gate.config().hidden <= kMostGateUnits &&
         gate.last_bias().scalar_type() == at::kFloat;
}

std::vector<at::Tensor> laid_out(const Gate& gate) {
  const auto layers = gate.layer_parameters();
  const int64_t units = layers[0].size(0);
  return {at::constant_pad_nd(layers[0], {0, 0, 0, padded_units(units) - units}).to(at::kBFloat16), layers[1],
          gate.second_layer()};
}

GateOfTokens gate_of_tokens(const Gate& gate, int64_t min_k, const at::Tensor* made, const at::Tensor& logits,
                            const at::Tensor& choice) {
  return {.units = gate.config().hidden,
          .allowed = gate.last_bias().size(0),
          .min_k = min_k,
          .gelu = gate.config().activation == Activation::kGelu,
          .w1 = made[0].const_data_ptr(),
          .b1 = made[1].const_data_ptr<float>(),
          .layer = made[2].const_data_ptr<float>(),
          .logits = logits.mutable_data_ptr<float>(),
          .choice = choice.mutable_data_ptr<int64_t>()};
}

}  // namespace acm
