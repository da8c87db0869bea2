#include "nn/layers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>

#include "nn/kernels/feed_forward.h"

namespace acm::nn {

Linear::Linear(int64_t in, int64_t out) {
  weight = register_parameter("weight", at::empty({out, in}));
  bias = register_parameter("bias", at::empty({out}));
}

at::Tensor Linear::forward(const at::Tensor& tokens) const { return linear(tokens, weight, bias); }

LayerNorm::LayerNorm(int64_t width, double eps) : eps_(eps) {
  weight = register_parameter("weight", at::empty({width}));
  bias = register_parameter("bias", at::empty({width}));
}

at::Tensor LayerNorm::forward(const at::Tensor& tokens) const {
  return at::layer_norm(tokens, weight.sizes(), weight, bias, eps_);
}

}  // namespace acm::nn
