#include "nn/dense.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>

namespace acm::nn {

DenseFeedForward::DenseFeedForward(int64_t width, int64_t hidden) {
  fc1 = register_module("fc1", std::make_shared<Linear>(width, hidden));
  fc2 = register_module("fc2", std::make_shared<Linear>(hidden, width));
}

at::Tensor DenseFeedForward::forward(const at::Tensor& tokens, TokenContext&) {
  return fc2->forward(at::gelu(fc1->forward(tokens)));
}

int64_t DenseFeedForward::macs_per_token() const { return fc1->weight.numel() + fc2->weight.numel(); }

DenseProjection::DenseProjection(int64_t width, bool with_bias) {
  weight = register_parameter("weight", at::empty({width, width}));
  if (with_bias) bias = register_parameter("bias", at::empty({width}));
}

at::Tensor DenseProjection::forward(const at::Tensor& tokens, TokenContext&) {
  return at::linear(tokens, weight, bias);
}

int64_t DenseProjection::macs_per_token() const { return weight.numel(); }

}  // namespace acm::nn
