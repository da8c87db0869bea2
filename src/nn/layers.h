#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>

namespace acm::nn {

// tokens weight' + bias. Parameters are uninitialised, as everywhere in this room: Backbone::initialise() or a file
// sets them.
class Linear final : public torch::nn::Module {
 public:
  Linear(int64_t in, int64_t out);
  at::Tensor forward(const at::Tensor& tokens) const;  // [..., in] -> [..., out]

  at::Tensor weight, bias;  // [out, in], [out]
};

// Normalises each token over its width, then scales and shifts.
class LayerNorm final : public torch::nn::Module {
 public:
  LayerNorm(int64_t width, double eps);
  // [..., width] -> the same shape. On a GPU float32 tokens give autocast's type, where that is on.
  at::Tensor forward(const at::Tensor& tokens) const;
  struct OfSum {
    at::Tensor sum, normalised;  // tokens + update, and that normalised
  };
  // In one pass on a GPU, and where the CPU's kernels apply: then the sum takes the place of the tokens, for which
  // nobody else may have a use. An undefined update is none.
  OfSum forward_sum(const at::Tensor& tokens, const at::Tensor& update) const;

  at::Tensor weight, bias;  // [width]

 private:
  at::Tensor by_kernel(const at::Tensor& tokens, const at::Tensor& update) const;

  double eps_;
};

}  // namespace acm::nn
