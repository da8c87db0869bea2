#include "train/pairwise_sum.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "core/random.h"

namespace acm::train {
namespace {

std::vector<float> some_numbers(size_t count) {
  std::vector<float> numbers;
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(static_cast<float>(random_normal(StreamKey(5), i)));
  return numbers;
}

float sum_of(const std::vector<float>& numbers, size_t begin, size_t end) {
  PairwiseSum sum;
  for (size_t i = begin; i < end; ++i) sum.add(at::tensor({numbers[i]}));
  return sum.take().item<float>();
}

TEST(PairwiseSum, AddsInATree) {
  const auto a = some_numbers(8);
  EXPECT_EQ(sum_of(a, 0, 8), ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])));
  EXPECT_EQ(sum_of(a, 0, 7), ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + a[6]));
  EXPECT_EQ(sum_of(a, 3, 4), a[3]);
}

TEST(PairwiseSum, AlignedPartsHaveTheSameBits) {
  bool order_matters = false;
  for (size_t first = 0; first < 64; first += 16) {
    const auto all = some_numbers(64 + first);
    const std::vector<float> numbers(all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
    const float whole = sum_of(numbers, 0, 64);
    for (const size_t parts : {2u, 4u, 8u, 64u}) {
      std::vector<float> sums;
      for (size_t i = 0; i < parts; ++i) sums.push_back(sum_of(numbers, i * 64 / parts, (i + 1) * 64 / parts));
      EXPECT_EQ(sum_of(sums, 0, parts), whole) << parts;
    }
    float in_turn = 0;
    for (const float number : numbers) in_turn += number;
    order_matters |= in_turn != whole;
  }
  EXPECT_TRUE(order_matters);
}

TEST(PairwiseSum, StartsAnewAndIsUndefinedWhereNothingWasAdded) {
  PairwiseSum sum;
  EXPECT_FALSE(sum.take().defined());
  sum.add(at::tensor({1.0}));
  EXPECT_EQ(sum.take().item<double>(), 1);
  EXPECT_FALSE(sum.take().defined());
}

}  // namespace
}  // namespace acm::train
