#pragma once

#include <memory>

#include "nn/layers.h"
#include "nn/token_module.h"

namespace acm::nn {

// The feed-forward network of a Transformer block: fc1, exact (erf) GELU, fc2.
class DenseFeedForward final : public TokenModule {
 public:
  DenseFeedForward(int64_t width, int64_t hidden);
  at::Tensor forward(const at::Tensor& tokens, TokenContext& context) override;
  int64_t macs_per_token() const override;

  std::shared_ptr<Linear> fc1, fc2;
};

// One of attention's four projections (q, k, v, o).
class DenseProjection final : public TokenModule {
 public:
  explicit DenseProjection(int64_t width, bool with_bias = true);
  at::Tensor forward(const at::Tensor& tokens, TokenContext& context) override;
  int64_t macs_per_token() const override;

  at::Tensor weight, bias;  // [width out, width in], [width] or undefined
};

}  // namespace acm::nn
