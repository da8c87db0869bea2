#include "acm/bfloat16_model.h"

#include "acm/acm_layer.h"
#include "nn/dense.h"
#include "nn/kernels/bfloat16_layers.h"
#include "nn/vit/patch_embedding.h"
#include "nn/vit/vit_block.h"

namespace acm {
namespace {

// In place, so that the parameter stays registered.
void round_parameter(at::Tensor& parameter, bool transposed, int64_t slice) {
  parameter.set_data(nn::bfloat16_weight(parameter.data(), transposed, slice));
}

void round_linear(at::Tensor& weight) { round_parameter(weight, /*transposed=*/true, weight.size(1)); }

// Whether this is a module that multiplies by matrices of its own, which it does in bfloat16 from now on.
bool round_matrices(torch::nn::Module& module) {
  if (auto* dense = dynamic_cast<nn::DenseFeedForward*>(&module)) {
    round_linear(dense->fc1->weight);
    round_linear(dense->fc2->weight);
  } else if (auto* projection = dynamic_cast<nn::DenseProjection*>(&module)) {
    round_linear(projection->weight);
  } else if (auto* learners = dynamic_cast<AcmLayer*>(&module)) {
    round_parameter(learners->w1, /*transposed=*/false, learners->shape().width);
    round_parameter(learners->w2, /*transposed=*/false, learners->shape().learner_width);
  } else {
    return false;
  }
  return true;
}

}  // namespace

void multiply_in_bfloat16(nn::Backbone& backbone) {
  for (const nn::Site& site : backbone.sites()) {
    bool rounded = false;
    for (const auto& module : backbone.at(site).modules()) rounded |= round_matrices(*module);
    TORCH_CHECK(rounded, "no way is known to run site ", site.name, " in bfloat16");
  }
  for (const auto& module : backbone.modules(/*include_self=*/false)) {
    if (auto* embedding = dynamic_cast<nn::PatchEmbedding*>(module.get()))
      embedding->weight.set_data(embedding->weight.data().to(at::kBFloat16));
    if (auto* block = dynamic_cast<nn::VitBlock*>(module.get())) block->attend_in_bfloat16();
  }
}

}  // namespace acm
