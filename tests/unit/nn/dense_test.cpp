#include "nn/dense.h"

#include <ATen/ops/erf.h>
#include <gtest/gtest.h>

#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

at::Tensor some_tokens() {
  at::Tensor tokens = at::empty({2, 3, 4}, at::kDouble);
  fill_uniform(tokens, StreamKey(1), -2.0, 2.0);
  return tokens;
}

TEST(DenseFeedForward, IsTwoLayersWithTheExactGeluBetween) {
  DenseFeedForward ffn(4, 6);
  ffn.to(at::kDouble);
  scatter(ffn);
  const at::Tensor tokens = some_tokens();
  const at::Tensor hidden = tokens.matmul(ffn.fc1->weight.t()) + ffn.fc1->bias;
  const at::Tensor active = hidden * 0.5 * (1 + at::erf(hidden / std::sqrt(2.0)));
  const at::Tensor expected = active.matmul(ffn.fc2->weight.t()) + ffn.fc2->bias;
  TokenContext context;
  EXPECT_LT(relative_difference(ffn.forward(tokens, context), expected), 1e-14);
  EXPECT_EQ(ffn.macs_per_token(), 2 * 4 * 6);
}

TEST(DenseProjection, IsOneLayerWithABias) {
  DenseProjection projection(4);
  projection.to(at::kDouble);
  scatter(projection);
  const at::Tensor tokens = some_tokens();
  TokenContext context;
  const at::Tensor expected = tokens.matmul(projection.weight.t()) + projection.bias;
  EXPECT_LT(relative_difference(projection.forward(tokens, context), expected), 1e-14);
  EXPECT_EQ(projection.macs_per_token(), 16);
}

}  // namespace
}  // namespace acm::nn
