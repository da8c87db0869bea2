#include "acm/gated_execution.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "core/random.h"
#include "unit/acm/masked_reference.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::masked_reference;
using test::random_layer;
using test::random_tensor;
using test::relative_difference;

constexpr int64_t kLearners = 4, kWidth = 6, kRows = 41;

at::Tensor random_choice(uint64_t seed) { return test::random_choice(kRows, kLearners, seed); }

class GatedExecution : public testing::TestWithParam<std::tuple<at::ScalarType, bool>> {};

TEST_P(GatedExecution, EqualsTheMaskedReference) {
  const auto [dtype, output_bias] = GetParam();
  const auto layer = random_layer({kWidth, kLearners, 3, 0, Activation::kGelu, output_bias}, dtype);
  const at::Tensor tokens = random_tensor({kRows, kWidth}, dtype, 2);
  std::vector<at::Tensor> choices = {random_choice(1), random_choice(2), at::full({kRows}, 0, at::kLong),
                                     at::full({kRows}, kLearners, at::kLong)};
  choices.push_back(at::full({kRows}, 1, at::kLong));
  choices.back()[7] = 3;  // a block of one row
  for (const at::Tensor& choice : choices) {
    const at::Tensor expected = masked_reference(*layer, tokens, choice);
    EXPECT_LE(relative_difference(layer->chosen(tokens, choice), expected), dtype == at::kDouble ? 1e-14 : 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, GatedExecution,
                         testing::Combine(testing::Values(at::kFloat, at::kDouble), testing::Bool()));

TEST(GatedExecutionGradients, EqualTheMaskedReference) {
  const auto layer = random_layer({kWidth, kLearners, 3, 0, Activation::kGelu, true}, at::kDouble);
  const at::Tensor tokens = random_tensor({kRows, kWidth}, at::kDouble, 2).requires_grad_();
  const at::Tensor upstream = random_tensor({kRows, kWidth}, at::kDouble, 3), choice = random_choice(1);
  std::vector<at::Tensor> inputs = layer->parameters();
  inputs.push_back(tokens);
  const auto gradients_of = [&](const at::Tensor& output) {
    for (at::Tensor& input : inputs) input.mutable_grad() = at::Tensor();
    (output * upstream).sum().backward();
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& input : inputs) gradients.push_back(input.grad().clone());
    return gradients;
  };
  const auto expected = gradients_of(masked_reference(*layer, tokens, choice));
  const auto found = gradients_of(layer->chosen(tokens, choice));
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_LT(relative_difference(found[i], expected[i]), 1e-13) << i;
}

// Without gradients and in float32 the kernels run instead of tensor operations.
TEST(GatedKernels, EqualTheMaskedReferenceOnAnyThreads) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kTokens = 1500;
  const int before = at::get_num_threads();
  for (const Activation activation : {Activation::kGelu, Activation::kIdentity}) {
    for (const auto& [output_bias, learner_width] : {std::pair{false, 7}, {true, 7}, {true, 70}}) {
      const auto layer = random_layer({kWidth, kLearners, learner_width, 0, activation, output_bias}, at::kFloat);
      const at::Tensor tokens = random_tensor({kTokens, kWidth}, at::kFloat, 2);
      at::Tensor choice = at::full({kTokens}, 2, at::kLong);
      for (int64_t i = 0; i < kTokens / 2; ++i) {
        choice[i] = static_cast<int64_t>(random_below(StreamKey(3), static_cast<uint64_t>(i), kLearners + 1));
      }
      layer->to(at::kDouble);
      const at::Tensor expected = masked_reference(*layer, tokens.to(at::kDouble), choice);
      layer->to(at::kFloat);
      at::set_num_threads(1);
      const at::Tensor found = layer->chosen(tokens, choice);
      EXPECT_LE(relative_difference(found.to(at::kDouble), expected), 1e-6);
      at::set_num_threads(3);
      EXPECT_TRUE(layer->chosen(tokens, choice).equal(found));
    }
  }
  at::set_num_threads(before);
}

TEST(GatedKernels, ATokenThatRunsNothingAddsNothing) {
  const at::NoGradGuard no_grad;
  const auto layer = random_layer({kWidth, kLearners, 3, 0, Activation::kGelu, true}, at::kFloat);
  const at::Tensor tokens = random_tensor({kRows, kWidth}, at::kFloat, 2), none = at::full({kRows}, 0, at::kLong);
  EXPECT_TRUE(layer->chosen(tokens, none).equal(at::zeros_like(tokens)));
}

// A learner that was not chosen must not run: its weights may be anything.
class GatedExecutionCost : public testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(Dtypes, GatedExecutionCost, testing::Values(at::kFloat, at::kDouble));

TEST_P(GatedExecutionCost, DoesNotTouchLearnersNobodyChose) {
  const at::NoGradGuard no_grad;
  const auto layer = random_layer({kWidth, kLearners, 3, 0, Activation::kGelu, false}, GetParam());
  const at::Tensor tokens = random_tensor({kRows, kWidth}, GetParam(), 2);
  const at::Tensor choice = random_choice(1).clamp_max(2);
  const at::Tensor before = layer->chosen(tokens, choice);
  layer->w1.detach().narrow(1, 6, 6).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(relative_difference(layer->chosen(tokens, choice), before), 0);
}

}  // namespace
}  // namespace acm
