#include "data/subset.h"

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace acm::data {
namespace {

// Sample i is the number 10 i, with label i.
class Tens final : public DataSource {
 public:
  int64_t size() const override { return 6; }
  Sample get(int64_t index, StreamKey) const override {
    return {.input = at::full({1}, 10.0 * static_cast<double>(index)), .label = index, .index = index};
  }
  Batch collate(std::span<const Sample> samples) const override {
    Batch batch;
    batch.positions = at::full({static_cast<int64_t>(samples.size())}, 7, at::kLong);
    return batch;
  }
  int64_t classes() const override { return 6; }
  std::array<int64_t, 3> input_shape() const override { return {1, 1, 1}; }
  Json identity() const override { return "tens"; }
  Json preprocessing() const override { return "none"; }
};

TEST(Subset, ServesTheSamplesAtItsIndices) {
  const auto subset = make_subset(std::make_shared<Tens>(), {4, 1, 2});
  ASSERT_EQ(subset->size(), 3);
  const auto sample = subset->get(1, StreamKey());
  EXPECT_EQ(sample.input.item<double>(), 10);
  EXPECT_EQ(sample.label, 1);
  EXPECT_EQ(sample.index, 1);
  EXPECT_EQ(subset->get(0, StreamKey()).label, 4);
  EXPECT_EQ(subset->collate(std::vector<Sample>{sample, sample}).samples(), 2);
  EXPECT_EQ(subset->classes(), 6);
  EXPECT_EQ(subset->preprocessing(), Json("none"));
}

TEST(Subset, ItsIdentityTellsWhichSamplesOfWhat) {
  const auto whole = std::make_shared<Tens>();
  const auto identity = make_subset(whole, {4, 1, 2})->identity();
  EXPECT_EQ(identity.at("of"), Json("tens"));
  EXPECT_EQ(identity.at("samples"), Json(3));
  EXPECT_EQ(make_subset(whole, {4, 1, 2})->identity(), identity);
  EXPECT_NE(make_subset(whole, {4, 1, 3})->identity(), identity);
  EXPECT_NE(make_subset(whole, {1, 4, 2})->identity(), identity);
}

TEST(ChoosePart, CutsInTwoByTheKey) {
  const auto parts = choose_part(100, 10, StreamKey(1));
  EXPECT_EQ(parts.chosen.size(), 10u);
  EXPECT_EQ(parts.rest.size(), 90u);
  EXPECT_TRUE(std::ranges::is_sorted(parts.chosen) && std::ranges::is_sorted(parts.rest));
  std::vector<int64_t> all = parts.chosen, expected(100);
  all.insert(all.end(), parts.rest.begin(), parts.rest.end());
  std::ranges::sort(all);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
  EXPECT_EQ(choose_part(100, 10, StreamKey(1)).chosen, parts.chosen);
  EXPECT_NE(choose_part(100, 10, StreamKey(2)).chosen, parts.chosen);
  EXPECT_TRUE(choose_part(5, 0, StreamKey(1)).chosen.empty());
}

}  // namespace
}  // namespace acm::data
