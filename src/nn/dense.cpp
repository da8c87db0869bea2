#include "nn/dense.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>

#include "nn/kernels/bfloat16_layers.h"
#include "nn/kernels/feed_forward.h"

namespace acm::nn {
namespace {

at::Tensor in_bfloat16(const at::Tensor& tokens, const Linear& fc1, const Linear& fc2) {
  const int64_t width = fc2.bias.numel(), hidden = fc1.bias.numel();
  return bfloat16_feed_forward(tokens, {.w1 = view_weight(fc1.weight, width, hidden, true),
                                        .w2 = view_weight(fc2.weight, hidden, width, true),
                                        .b1 = fc1.bias.const_data_ptr<float>(),
                                        .b2 = fc2.bias.const_data_ptr<float>(),
                                        .width = width,
                                        .hidden = hidden,
                                        .gelu = true});
}

}  // namespace

DenseFeedForward::DenseFeedForward(int64_t width, int64_t hidden) {
  fc1 = register_module("fc1", std::make_shared<Linear>(width, hidden));
  fc2 = register_module("fc2", std::make_shared<Linear>(hidden, width));
}

at::Tensor DenseFeedForward::forward(const at::Tensor& tokens, TokenContext&) {
  if (fc1->weight.scalar_type() == at::kBFloat16) return in_bfloat16(tokens, *fc1, *fc2);
  if (!kernels_apply({tokens, fc1->weight, fc1->bias, fc2->weight, fc2->bias})) {
    return fc2->forward(at::gelu(fc1->forward(tokens)));
  }
  const int64_t width = fc1->weight.size(1), hidden = fc1->weight.size(0);
  return feed_forward(tokens, {.w1 = {fc1->weight.const_data_ptr<float>(), width, true},
                               .w2 = {fc2->weight.const_data_ptr<float>(), hidden, true},
                               .b1 = fc1->bias.const_data_ptr<float>(),
                               .b2 = fc2->bias.const_data_ptr<float>(),
                               .width = width,
                               .hidden = hidden,
                               .gelu = true});
}

int64_t DenseFeedForward::macs_per_token() const { return fc1->weight.numel() + fc2->weight.numel(); }

DenseProjection::DenseProjection(int64_t width, bool with_bias) {
  weight = register_parameter("weight", at::empty({width, width}));
  if (with_bias) bias = register_parameter("bias", at::empty({width}));
}

at::Tensor DenseProjection::forward(const at::Tensor& tokens, TokenContext&) { return linear(tokens, weight, bias); }

int64_t DenseProjection::macs_per_token() const { return weight.numel(); }

}  // namespace acm::nn
