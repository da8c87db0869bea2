#include "acm/mixed_execution.h"

#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_layer;
using test::random_tensor;
using test::relative_difference;

// The output, and the gradients of its sum weighted by random numbers, with respect to tokens, shares and weights.
std::vector<at::Tensor> output_and_gradients(AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& shares) {
  const at::Tensor token_leaf = tokens.detach().clone().requires_grad_(), share_leaf = shares.clone().requires_grad_();
  layer.zero_grad();
  const at::Tensor output = run_mixed_learners(token_leaf, share_leaf, layer.weights());
  (output * random_tensor(output.sizes(), at::kDouble, 9).to(output.scalar_type())).sum().backward();
  std::vector<at::Tensor> all = {output.detach(), token_leaf.grad(), share_leaf.grad()};
  for (const at::Tensor& parameter : layer.parameters()) all.push_back(parameter.grad().clone());
  return all;
}

class MixedExecution : public testing::TestWithParam<std::tuple<bool, Activation>> {
 protected:
  AcmShape shape() const { return {6, 4, 3, 0, std::get<1>(GetParam()), std::get<0>(GetParam())}; }
};

TEST_P(MixedExecution, IsTheSumOfTheLearnersTimesTheirShares) {
  const auto layer = random_layer(shape(), at::kDouble);
  const at::Tensor tokens = random_tensor({2, 5, 6}, at::kDouble, 2), shares = random_tensor({2, 5, 4}, at::kDouble, 3);
  const at::Tensor prefixes = layer->prefixes(tokens);
  const at::Tensor learners = prefixes.narrow(2, 1, 4) - prefixes.narrow(2, 0, 4);
  const at::Tensor expected = (learners * shares.unsqueeze(-1)).sum(2);
  EXPECT_LT(relative_difference(run_mixed_learners(tokens, shares, layer->weights()), expected), 1e-13);
}

// On more rows than a chunk of the kernels has.
TEST_P(MixedExecution, KernelsEqualFloat64WithinFloat32) {
  const at::Tensor tokens = random_tensor({11, 100, 6}, at::kDouble, 2);
  const at::Tensor shares = random_tensor({11, 100, 4}, at::kDouble, 3);
  const auto reference = random_layer(shape(), at::kDouble), layer = random_layer(shape(), at::kFloat);
  const auto expected = output_and_gradients(*reference, tokens, shares);
  const auto found = output_and_gradients(*layer, tokens.to(at::kFloat), shares.to(at::kFloat));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_LT(relative_difference(found[i], expected[i]), 1e-5) << i;
}

TEST_P(MixedExecution, SameBitsAtAnyThreadCount) {
  const int threads = at::get_num_threads();
  const auto layer = random_layer({48, 4, 40, 0, shape().activation, shape().output_bias}, at::kFloat);
  const at::Tensor tokens = random_tensor({1500, 48}, at::kFloat, 2), shares = random_tensor({1500, 4}, at::kFloat, 3);
  at::set_num_threads(1);
  const auto expected = output_and_gradients(*layer, tokens, shares);
  for (const int count : {2, 3}) {
    at::set_num_threads(count);
    const auto found = output_and_gradients(*layer, tokens, shares);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(at::equal(found[i], expected[i])) << count << " " << i;
  }
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Forms, MixedExecution,
                         testing::Combine(testing::Bool(), testing::Values(Activation::kGelu, Activation::kIdentity)));

}  // namespace
}  // namespace acm
