#include "acm/allocation_labels.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "unit/acm/random_layer.h"

namespace acm {
namespace {

std::vector<int64_t> labels(const at::Tensor& errors, double cost, int64_t min_k) {
  const at::Tensor found = allocation_labels(errors, cost, min_k);
  return {found.const_data_ptr<int64_t>(), found.const_data_ptr<int64_t>() + found.numel()};
}

TEST(AllocationLabels, MinimiseErrorPlusCost) {
  const at::Tensor errors = test::random_tensor({300, 5}, at::kDouble, 1).square();
  for (const double cost : {0.0, 0.01, 0.3, 2.0}) {
    for (int64_t min_k = 0; min_k <= 4; ++min_k) {
      const auto found = labels(errors, cost, min_k);
      for (int64_t row = 0; row < 300; ++row) {
        int64_t best = min_k;
        const auto whole = [&](int64_t k) { return errors[row][k].item<double>() + cost * static_cast<double>(k); };
        for (int64_t k = min_k; k <= 4; ++k)
          if (whole(k) < whole(best)) best = k;
        ASSERT_EQ(found[static_cast<size_t>(row)], best) << "row " << row << ", cost " << cost << ", min_k " << min_k;
      }
    }
  }
}

TEST(AllocationLabels, TiesGoToFewerLearners) {
  const at::Tensor errors = at::tensor({3.0, 2.0, 1.0, 0.0, 5.0, 5.0, 5.0, 5.0}, at::kDouble).view({2, 4});
  EXPECT_EQ(labels(errors, 1, 0), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(labels(errors, 1, 1), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(labels(errors, 0, 0), (std::vector<int64_t>{3, 0}));
}

// The share of two sites of different cost, at a price.
struct Sites {
  at::Tensor cheap = test::random_tensor({2000, 5}, at::kDouble, 2).abs().cumsum(1).flip(1),
             dear = test::random_tensor({2000, 5}, at::kDouble, 3).abs().cumsum(1).flip(1) * 3;
  double operator()(double price) const {
    const double run = 1.0 * allocation_labels(cheap, price, 0).sum().item<double>() +
                       4.0 * allocation_labels(dear, 4 * price, 1).sum().item<double>();
    return run / (2000 * 4 * (1.0 + 4.0));
  }
};

TEST(PriceOfBudget, MeetsTheBudget) {
  const Sites spent;
  double last = std::numeric_limits<double>::infinity();
  for (const double budget : {0.25, 0.4, 0.6, 0.75}) {
    const double price = price_of_budget(spent, 100, budget);
    EXPECT_NEAR(spent(price), budget, 1e-3) << budget;
    EXPECT_LT(price, last) << budget;  // more budget, lower price
    last = price;
  }
}

TEST(PriceOfBudget, TheShareFallsWhileThePriceRises) {
  const Sites spent;
  double last = 1;
  for (double price = 0; price < 5; price += 0.05) {
    const double share = spent(price);
    EXPECT_LE(share, last) << price;
    last = share;
  }
}

TEST(PriceOfBudget, IsZeroWhereTheBudgetIsNotReachedAnyway) {
  EXPECT_EQ(price_of_budget([](double price) { return price < 1 ? 0.7 : 0.2; }, 10, 0.8), 0);
}

TEST(PriceOfBudget, TakesTheLowerShareAtAGap) {
  const auto jump = [](double price) { return price < 3 ? 0.9 : 0.2; };
  const double price = price_of_budget(jump, 10, 0.5);
  EXPECT_NEAR(price, 3, 1e-12);
  EXPECT_EQ(jump(price), 0.2);
  EXPECT_EQ(jump(price_of_budget(jump, 10, 0.1)), 0.2);  // as little as there is
}

}  // namespace
}  // namespace acm
