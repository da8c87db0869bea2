#include "nn/random_tensor.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace acm::nn {
namespace {

TEST(FillUniform, TakesElementIFromNumberI) {
  at::Tensor tensor = at::empty({5, 3}, at::kDouble).t();
  const StreamKey key(9);
  fill_uniform(tensor, key, -3.0, 5.0);
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t column = 0; column < 5; ++column) {
      const double expected = -3.0 + 8.0 * random_uniform(key, static_cast<uint64_t>(row * 5 + column));
      EXPECT_DOUBLE_EQ(tensor[row][column].item<double>(), expected);
    }
  }
}

TEST(FillUniform, RoundsTheSameNumbersToOtherDtypes) {
  at::Tensor wide = at::empty({100}, at::kDouble), narrow = at::empty({100});
  fill_uniform(wide, StreamKey(9), 0.0, 1.0);
  fill_uniform(narrow, StreamKey(9), 0.0, 1.0);
  EXPECT_TRUE(narrow.equal(wide.to(at::kFloat)));
}

TEST(FillNormal, IsANormalCutAtTwoStandardDeviations) {
  at::Tensor tensor = at::empty({200, 500}, at::kDouble);
  fill_normal(tensor, StreamKey(2), 0.02);
  EXPECT_LE(tensor.abs().max().item<double>(), 0.04);
  EXPECT_GT(tensor.abs().max().item<double>(), 0.0399);
  EXPECT_NEAR(tensor.mean().item<double>(), 0.0, 3e-4);
  // A standard normal cut at 2 has the standard deviation sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) = 0.8796.
  EXPECT_NEAR(tensor.std().item<double>(), 0.02 * 0.8796, 1e-4);
  at::Tensor other = at::empty({200, 500}, at::kDouble);
  fill_normal(other, StreamKey(3), 0.02);
  EXPECT_FALSE(tensor.equal(other));
}

TEST(TokenUniform, IsTheSameForATokenWhateverStandsBesideIt) {
  const StreamKey key = StreamKey(4).with("noise");
  const at::Tensor positions = at::tensor({7, 2, 11}, at::kLong);
  const at::Tensor all = token_uniform(key, positions, 3, 6, 5);
  EXPECT_EQ(all.sizes(), (at::IntArrayRef{3, 6, 5}));
  const at::Tensor trimmed = token_uniform(key, positions, 3, 4, 5);
  EXPECT_TRUE(trimmed.equal(all.narrow(1, 0, 4)));
  const at::Tensor alone = token_uniform(key, at::tensor({2}, at::kLong), 3, 6, 5);
  EXPECT_TRUE(alone.equal(all.narrow(0, 1, 1)));
  const at::Tensor reordered = token_uniform(key, positions.flip(0), 3, 6, 5);
  EXPECT_TRUE(reordered.equal(all.flip(0)));
}

TEST(TokenUniform, DiffersBySiteSampleAndKeyAndStaysInside) {
  const at::Tensor positions = at::tensor({0, 1}, at::kLong);
  const at::Tensor numbers = token_uniform(StreamKey(1), positions, 0, 50, 4);
  EXPECT_FALSE(numbers.equal(token_uniform(StreamKey(1), positions, 1, 50, 4)));
  EXPECT_FALSE(numbers.equal(token_uniform(StreamKey(2), positions, 0, 50, 4)));
  EXPECT_FALSE(numbers[0].equal(numbers[1]));
  EXPECT_GT(numbers.min().item<double>(), 0.0);
  EXPECT_LT(numbers.max().item<double>(), 1.0);
  EXPECT_NEAR(numbers.mean().item<double>(), 0.5, 0.05);
}

}  // namespace
}  // namespace acm::nn
