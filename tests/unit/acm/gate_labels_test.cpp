#include "acm/gate_labels.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "core/error.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

constexpr double kTau = 1.2;

std::vector<int64_t> labels(const std::vector<double>& distances, LabelRule rule, int64_t min_k, int64_t learners = 4) {
  const at::Tensor found = gate_labels(at::tensor(distances, at::kDouble).view({-1, learners + 1}), rule, min_k, kTau);
  return {found.const_data_ptr<int64_t>(), found.const_data_ptr<int64_t>() + found.numel()};
}

TEST(GateLabels, MarginalStopsWhereOneMoreLearnerAddsLittle) {
  const std::vector<double> distances = {8,  4, 2, 1.9, 1,    // 2 -> 1.9 is less than a factor 1.2
                                         8,  7, 2, 1,   0.5,  // at once, unless a learner must run
                                         16, 8, 4, 2,   1};   // never
  EXPECT_EQ(labels(distances, LabelRule::kMarginal, 0), (std::vector<int64_t>{2, 0, 4}));
  EXPECT_EQ(labels(distances, LabelRule::kMarginal, 1), (std::vector<int64_t>{2, 4, 4}));
}

TEST(GateLabels, ReferenceNamesTheLearnerThatFailedAndTakesAllWhereThatIsTheFirst) {
  const std::vector<double> distances = {8, 4, 2, 1.9, 1, 8, 7, 6.9, 1, 0.5, 16, 8, 4, 2, 1, 8, 4, 3.9, 1, 0.1};
  EXPECT_EQ(labels(distances, LabelRule::kReference, 0), (std::vector<int64_t>{3, 4, 4, 2}));
}

TEST(GateLabels, DivisionByZeroDoesNotStop) {
  EXPECT_EQ(labels({1, 0, 0, 0, 0}, LabelRule::kMarginal, 0), (std::vector<int64_t>{4}));
  EXPECT_EQ(labels({0, 1, 0, 0, 0}, LabelRule::kMarginal, 0), (std::vector<int64_t>{0}));
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(labels({infinite, infinite, 1, 1, 1}, LabelRule::kMarginal, 0), (std::vector<int64_t>{2}));
}

TEST(GateLabels, OneLearner) {
  EXPECT_EQ(labels({1, 0.9, 1, 0.1}, LabelRule::kMarginal, 0, 1), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(labels({1, 0.9, 1, 0.1}, LabelRule::kMarginal, 1, 1), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(labels({1, 0.9, 1, 0.1}, LabelRule::kReference, 0, 1), (std::vector<int64_t>{1, 1}));
}

// In float64 by tensor operations, in float32 by kernels, on more rows than one of their chunks has.
TEST(GateLabels, DistancesAreNormsOfTheErrors) {
  constexpr int64_t kRows = 1100;
  const AcmShape shape{6, 4, 3, 0, Activation::kGelu, true};
  const at::Tensor tokens = test::random_tensor({kRows, 6}, at::kDouble, 1);
  const at::Tensor target = test::random_tensor({kRows, 6}, at::kDouble, 2);
  const at::Tensor errors = test::random_layer(shape, at::kDouble)->prefixes(tokens) - target.unsqueeze(1);
  const at::Tensor expected = errors.square().sum(-1).sqrt();
  const at::NoGradGuard no_grad;
  for (const auto& [dtype, tolerance] : {std::pair(at::kDouble, 1e-14), std::pair(at::kFloat, 1e-6)}) {
    const auto layer = test::random_layer(shape, dtype);
    const at::Tensor distances = prefix_distances(*layer, tokens.to(dtype), target.to(dtype));
    ASSERT_EQ(distances.sizes(), at::IntArrayRef({kRows, 5}));
    EXPECT_LT(test::relative_difference(distances, expected), tolerance);
  }
}

TEST(GateLabels, DistancesOfNarrowRowsAreThoseOfTheWidened) {
  const at::NoGradGuard no_grad;
  for (const auto narrow : {at::kHalf, at::kBFloat16}) {
    const at::Tensor tokens = test::random_tensor({1100, 6}, at::kFloat, 1).to(narrow);
    const at::Tensor target = test::random_tensor({1100, 6}, at::kFloat, 2).to(narrow);
    for (const auto dtype : {at::kFloat, at::kDouble}) {
      const auto layer = test::random_layer({6, 4, 3, 0, Activation::kGelu, true}, dtype);
      EXPECT_TRUE(at::equal(prefix_distances(*layer, tokens, target),
                            prefix_distances(*layer, tokens.to(dtype), target.to(dtype))));
    }
  }
}

TEST(GateLabels, RulesAreNamed) {
  EXPECT_EQ(label_rule_from("marginal"), LabelRule::kMarginal);
  EXPECT_EQ(label_rule_from("reference"), LabelRule::kReference);
  EXPECT_THROW(label_rule_from("none"), Error);
}

}  // namespace
}  // namespace acm
