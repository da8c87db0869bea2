#include "acm/gate.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/error.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

class StraightThrough : public testing::TestWithParam<at::ScalarType> {};

TEST_P(StraightThrough, IsExactlyOneHotForwardAndSoftBackward) {
  const at::ScalarType dtype = GetParam();
  const at::Tensor logits = random_tensor({50, 5}, dtype, 1).requires_grad_();
  const at::Tensor noise = random_tensor({50, 5}, dtype, 2), upstream = random_tensor({50, 5}, dtype, 3);
  const at::Tensor choice = straight_through_choice(logits, noise, 0.8);
  EXPECT_EQ(choice.scalar_type(), dtype);
  EXPECT_TRUE(at::equal(choice, choice.eq(1).to(dtype)));
  EXPECT_TRUE(choice.sum(-1).eq(1).all().item<bool>());
  EXPECT_TRUE(at::equal(choice.argmax(-1), (logits + noise).argmax(-1)));

  (choice * upstream).sum().backward();
  const at::Tensor again = logits.detach().clone().requires_grad_();
  (((again + noise) / 0.8).softmax(-1) * upstream).sum().backward();
  EXPECT_LT(relative_difference(logits.grad(), again.grad()), dtype == at::kDouble ? 1e-14 : 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, StraightThrough, testing::Values(at::kFloat, at::kDouble));

TEST(GateChoice, TiesGoToTheLowestCount) {
  const at::Tensor logits = at::tensor({1.0, 3.0, 3.0, 0.0, 2.0, 2.0, 2.0, 2.0}).view({2, 4});
  EXPECT_TRUE(at::equal(best_class(logits), at::tensor({1, 0}, at::kLong)));
  const at::Tensor choice = straight_through_choice(logits, at::zeros_like(logits), 0.8);
  EXPECT_TRUE(at::equal(choice.argmax(-1), at::tensor({1, 0}, at::kLong)));
}

TEST(GateChoice, IsThatOfTheTensorOperation) {
  at::Tensor logits = random_tensor({5, 300, 5}, at::kFloat, 1);
  logits.select(1, 7).fill_(-INFINITY);
  logits.select(1, 9).select(1, 3).fill_(NAN);
  logits.select(1, 11).fill_(NAN);
  EXPECT_TRUE(at::equal(best_class(logits), logits.argmax(-1)));
}

TEST(GateChoice, GumbelNoiseIsMinusLogMinusLog) {
  EXPECT_NEAR(gumbel_noise(at::full({}, 0.25, at::kDouble)).item<double>(), -std::log(-std::log(0.25)), 1e-15);
}

TEST(Gate, HasNamedLayersAndCountsTheirProducts) {
  Gate gate(12, 5, {.hidden = 16, .depth = 3, .activation = Activation::kIdentity, .temperature = 0.8});
  gate.initialise(StreamKey(1));
  std::vector<std::string> names;
  for (const auto& parameter : gate.named_parameters()) names.push_back(parameter.key());
  EXPECT_EQ(names, (std::vector<std::string>{"0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(gate.macs_per_token(), 12 * 16 + 16 * 16 + 16 * 5);
  EXPECT_EQ(gate.forward(random_tensor({2, 3, 12}, at::kFloat, 1)).sizes(), at::IntArrayRef({2, 3, 5}));
}

// Two layers have a kernel up to some hidden width, on more rows than one thread takes at once.
TEST(Gate, DecidesByItsKernelAsInFloat64) {
  const at::NoGradGuard no_grad;
  const int threads = at::get_num_threads();
  const at::Tensor tokens = random_tensor({3, 211, 100}, at::kFloat, 2);
  for (const auto& [hidden, activation, allowed] : {std::tuple<int64_t, Activation, int64_t>{4, Activation::kGelu, 5},
                                                    {4, Activation::kIdentity, 17},
                                                    {1, Activation::kGelu, 4},
                                                    {5, Activation::kGelu, 5},
                                                    {19, Activation::kGelu, 17},
                                                    {32, Activation::kIdentity, 1},
                                                    {33, Activation::kGelu, 5}}) {
    const GateConfig config{.hidden = hidden, .depth = 2, .activation = activation};
    Gate gate(100, allowed, config), exact(100, allowed, config);
    gate.initialise(StreamKey(1));
    exact.initialise(StreamKey(1));
    exact.to(at::kDouble);
    at::set_num_threads(1);
    const auto [logits, choice] = gate.decide(tokens, 2);
    const auto [double_logits, double_choice] = exact.decide(tokens.to(at::kDouble), 2);
    EXPECT_LT(relative_difference(logits.to(at::kDouble), double_logits), 2e-6) << hidden;
    EXPECT_TRUE(choice.equal(logits.argmax(-1) + 2)) << hidden;
    EXPECT_TRUE(double_choice.equal(double_logits.argmax(-1) + 2)) << hidden;
    EXPECT_TRUE(gate.forward(tokens).equal(logits)) << hidden;
    at::set_num_threads(3);
    EXPECT_TRUE(gate.decide(tokens, 2).logits.equal(logits)) << hidden;
    EXPECT_TRUE(gate.decide(tokens, 2).choice.equal(choice)) << hidden;
  }
  at::set_num_threads(threads);
}

// Of each token alone as of many, at widths that leave over what vectors and tiles do.
TEST(Gate, DecidesByItsKernelWhereverATokenStands) {
  const at::NoGradGuard no_grad;
  for (const int64_t hidden : {4, 5, 10, 19}) {
    Gate gate(100, 5, {.hidden = hidden});
    gate.initialise(StreamKey(1));
    const at::Tensor tokens = random_tensor({1, 300, 100}, at::kFloat, 2), logits = gate.forward(tokens);
    for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 1}, {7, 2}, {101, 197}, {299, 1}})
      EXPECT_TRUE(gate.forward(tokens.narrow(1, first, count)).equal(logits.narrow(1, first, count))) << hidden;
  }
}

TEST(GateConfig, ReadsItsOwnDescription) {
  const GateConfig config{7, 3, Activation::kIdentity, 0.5};
  EXPECT_EQ(GateConfig::from(config.description()).description(), config.description());
  Json wrong = config.description();
  wrong["hidden"] = 0;
  EXPECT_THROW(GateConfig::from(wrong), Error);
}

}  // namespace
}  // namespace acm
