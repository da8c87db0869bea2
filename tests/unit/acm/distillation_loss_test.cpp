#include "acm/distillation_loss.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "core/error.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_layer;
using test::random_tensor;
using test::relative_difference;

// The loss as method.md 3 writes it, by plain autograd over all prefixes.
at::Tensor plain_loss(const AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& target, Objective objective,
                      double scale) {
  const at::Tensor prefixes = layer.prefixes(tokens);
  at::Tensor loss;
  for (int64_t n = 1; n <= layer.shape().learners; ++n) {
    const at::Tensor before = prefixes.select(1, n - 1);
    const at::Tensor prefix =
        objective == Objective::kNested ? prefixes.select(1, n) : before.detach() + (prefixes.select(1, n) - before);
    const at::Tensor term = (prefix - target).square().sum() * scale;
    loss = loss.defined() ? loss + term : term;
  }
  return loss;
}

std::vector<at::Tensor> gradients_of(AcmLayer& layer, const at::Tensor& loss) {
  layer.zero_grad();
  (loss * 3).backward();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : layer.parameters()) gradients.push_back(parameter.grad().clone());
  return gradients;
}

class DistillationLoss : public testing::TestWithParam<std::tuple<Objective, bool, Activation>> {
 protected:
  // In `dtype` against plain autograd in float64, on more rows than a chunk of the kernels has.
  void compare(int64_t rows, at::ScalarType dtype, double tolerance) {
    const auto [objective, output_bias, activation] = GetParam();
    const auto reference = random_layer({6, 4, 3, 0, activation, output_bias}, at::kDouble);
    const auto layer = random_layer({6, 4, 3, 0, activation, output_bias}, dtype);
    const at::Tensor tokens = random_tensor({rows, 6}, at::kDouble, 2),
                     target = random_tensor({rows, 6}, at::kDouble, 3);
    const at::Tensor expected = plain_loss(*reference, tokens, target, objective, 0.01);
    const at::Tensor found = distillation_loss(*layer, tokens.to(dtype), target.to(dtype), objective, 0.01);
    EXPECT_EQ(found.dim(), 0);
    EXPECT_NEAR(found.item<double>(), expected.item<double>(), tolerance * expected.item<double>());
    const auto expected_gradients = gradients_of(*reference, expected), found_gradients = gradients_of(*layer, found);
    for (size_t i = 0; i < expected_gradients.size(); ++i) {
      EXPECT_LT(relative_difference(found_gradients[i], expected_gradients[i]), tolerance) << i;
    }
  }
};

TEST_P(DistillationLoss, EqualsPlainAutograd) { compare(11, at::kDouble, 1e-13); }

TEST_P(DistillationLoss, KernelsEqualPlainAutogradWithinFloat32) { compare(1100, at::kFloat, 1e-5); }

TEST_P(DistillationLoss, OfNarrowRowsIsThatOfTheWidened) {
  const auto [objective, output_bias, activation] = GetParam();
  for (const auto narrow : {at::kHalf, at::kBFloat16}) {
    const at::Tensor tokens = random_tensor({1100, 6}, at::kFloat, 2).to(narrow),
                     target = random_tensor({1100, 6}, at::kFloat, 3).to(narrow);
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const auto layer = random_layer({6, 4, 3, 0, activation, output_bias}, dtype);
      const auto expected = distillation_loss(*layer, tokens.to(dtype), target.to(dtype), objective, 0.01),
                 found = distillation_loss(*layer, tokens, target, objective, 0.01);
      EXPECT_EQ(found.item<double>(), expected.item<double>());
      const auto expected_gradients = gradients_of(*layer, expected), found_gradients = gradients_of(*layer, found);
      for (size_t i = 0; i < expected_gradients.size(); ++i)
        EXPECT_TRUE(at::equal(found_gradients[i], expected_gradients[i])) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, DistillationLoss,
                         testing::Combine(testing::Values(Objective::kNested, Objective::kGreedy), testing::Bool(),
                                          testing::Values(Activation::kGelu, Activation::kIdentity)));

TEST(NestedDistillationLoss, GradientIsTheSlopeOfTheValue) {
  const auto layer = random_layer({6, 4, 3, 0, Activation::kGelu, true}, at::kDouble);
  const at::Tensor tokens = random_tensor({11, 6}, at::kDouble, 2), target = random_tensor({11, 6}, at::kDouble, 3);
  const auto value = [&] {
    const at::NoGradGuard no_grad;
    return distillation_loss(*layer, tokens, target, Objective::kNested, 0.01).item<double>();
  };
  const auto gradients = gradients_of(*layer, distillation_loss(*layer, tokens, target, Objective::kNested, 0.01 / 3));
  const auto parameters = layer->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor flat = parameters[i].detach().view({-1});
    for (int64_t j = 0; j < flat.numel(); j += 5) {
      constexpr double kStep = 1e-5;
      at::Tensor element = flat.select(0, j);
      element.add_(kStep);
      const double above = value();
      element.sub_(2 * kStep);
      const double below = value();
      element.add_(kStep);
      EXPECT_NEAR((above - below) / (2 * kStep), gradients[i].view({-1})[j].item<double>(), 1e-8) << i << " " << j;
    }
  }
}

// Phase 1 promises the same bytes at any number of threads.
TEST(DistillationLossThreads, SameBitsAtAnyThreadCount) {
  const int threads = at::get_num_threads();
  struct Case {
    int64_t rows, width, learner_width;
  };
  for (const Case& size : {Case{1024, 64, 64}, Case{4096, 192, 48}, Case{1577, 62, 31}}) {
    const auto layer = random_layer({size.width, 4, size.learner_width, 0, Activation::kGelu, true}, at::kFloat);
    const at::Tensor tokens = random_tensor({size.rows, size.width}, at::kFloat, 2);
    const at::Tensor target = random_tensor({size.rows, size.width}, at::kFloat, 3);
    for (const Objective objective : {Objective::kNested, Objective::kGreedy}) {
      std::vector<at::Tensor> first;
      for (const int count : {1, 2, 3}) {
        at::set_num_threads(count);
        const at::Tensor loss = distillation_loss(*layer, tokens, target, objective, 1e-6);
        std::vector<at::Tensor> results = gradients_of(*layer, loss);
        results.push_back(loss.detach());
        if (first.empty()) first = results;
        for (size_t i = 0; i < results.size(); ++i) {
          EXPECT_TRUE(at::equal(results[i], first[i])) << size.rows << " rows, " << count << " threads, tensor " << i;
        }
      }
    }
  }
  at::set_num_threads(threads);
}

TEST(Objective, IsNamed) {
  EXPECT_EQ(objective_from("nested"), Objective::kNested);
  EXPECT_EQ(objective_from("greedy"), Objective::kGreedy);
  EXPECT_THROW(objective_from("both"), Error);
}

}  // namespace
}  // namespace acm
