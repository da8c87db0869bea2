#include "acm/gate_loss.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>

#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

// More rows than one block of the kernel has.
constexpr int64_t kRows = 1100, kWidth = 24, kAllowed = 5;

std::shared_ptr<Gate> random_gate(const GateConfig& config, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  auto gate = std::make_shared<Gate>(kWidth, kAllowed, config);
  gate->to(dtype);
  gate->initialise(StreamKey(1));
  return gate;
}

at::Tensor classes_of(const at::Tensor& tokens) {
  return tokens.select(1, 0).to(at::kDouble).mul(10).to(at::kLong).remainder(kAllowed);
}

struct Found {
  double sum;
  at::Tensor best;
  std::vector<at::Tensor> gradients;
};

Found found_by(Gate& gate, const at::Tensor& tokens) {
  const auto loss = gate_loss(gate, tokens, classes_of(tokens));
  gate.zero_grad();
  (loss.sum * 3).backward();
  Found found{loss.sum.item<double>(), loss.best, {}};
  for (const auto& parameter : gate.parameters()) found.gradients.push_back(parameter.grad().clone());
  return found;
}

class GateLossOf : public testing::TestWithParam<std::tuple<int64_t, Activation>> {
 protected:
  GateConfig config() const {
    const auto [depth, activation] = GetParam();
    return {.hidden = 6, .depth = depth, .activation = activation};
  }
};

TEST_P(GateLossOf, KernelEqualsOperationsWithinFloat32) {
  const at::Tensor tokens = random_tensor({kRows, kWidth}, at::kFloat, 2);
  const auto expected = found_by(*random_gate(config(), at::kDouble), tokens);
  const auto found = found_by(*random_gate(config(), at::kFloat), tokens);
  EXPECT_NEAR(found.sum, expected.sum, 1e-6 * expected.sum);
  EXPECT_TRUE(at::equal(found.best, expected.best));
  ASSERT_EQ(found.gradients.size(), expected.gradients.size());
  for (size_t i = 0; i < expected.gradients.size(); ++i)
    EXPECT_LT(relative_difference(found.gradients[i], expected.gradients[i]), 2e-6) << i;
}

TEST_P(GateLossOf, NarrowTokensAreWidened) {
  for (const auto narrow : {at::kHalf, at::kBFloat16}) {
    const at::Tensor tokens = random_tensor({kRows, kWidth}, at::kFloat, 2).to(narrow);
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const auto gate = random_gate(config(), dtype);
      const auto expected = found_by(*gate, tokens.to(dtype)), found = found_by(*gate, tokens);
      EXPECT_EQ(found.sum, expected.sum);
      for (size_t i = 0; i < expected.gradients.size(); ++i)
        EXPECT_TRUE(at::equal(found.gradients[i], expected.gradients[i])) << i;
    }
  }
}

TEST_P(GateLossOf, SameBitsAtAnyThreadCount) {
  const int threads = at::get_num_threads();
  const at::Tensor tokens = random_tensor({kRows, kWidth}, at::kFloat, 2);
  const auto gate = random_gate(config(), at::kFloat);
  at::set_num_threads(1);
  const auto expected = found_by(*gate, tokens);
  for (const int count : {2, 3}) {
    at::set_num_threads(count);
    const auto found = found_by(*gate, tokens);
    EXPECT_EQ(found.sum, expected.sum);
    for (size_t i = 0; i < expected.gradients.size(); ++i)
      EXPECT_TRUE(at::equal(found.gradients[i], expected.gradients[i])) << i;
  }
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Forms, GateLossOf,
                         testing::Combine(testing::Values(1, 2, 3),
                                          testing::Values(Activation::kGelu, Activation::kIdentity)));

TEST(GateLoss, OfLargeLogitsIsFinite) {
  const auto gate = random_gate({.hidden = 6}, at::kFloat);
  const auto found = found_by(*gate, random_tensor({kRows, kWidth}, at::kFloat, 2) * 1e4);
  EXPECT_TRUE(std::isfinite(found.sum));
  for (const auto& gradient : found.gradients) EXPECT_TRUE(gradient.isfinite().all().item<bool>());
}

TEST(GateLoss, OfNoRowsIsNothing) {
  const auto found = found_by(*random_gate({.hidden = 6}, at::kFloat), random_tensor({0, kWidth}, at::kFloat, 2));
  EXPECT_EQ(found.sum, 0);
}

}  // namespace
}  // namespace acm
