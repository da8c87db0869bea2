#include "phases/token_choice.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace acm::phases {
namespace {

std::vector<int64_t> numbers(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel()};
}

TEST(TokenChoice, KeepsSoManyOfEachSampleInOrder) {
  const auto counts = at::tensor({10, 3, 12}, at::kLong);
  const auto choice = choose_tokens(counts, 5, 4, StreamKey(1));
  EXPECT_EQ(numbers(choice.counts), (std::vector<int64_t>{4, 3, 4}));
  const auto rows = numbers(choice.rows);
  ASSERT_EQ(rows.size(), 11u);
  EXPECT_TRUE(std::ranges::is_sorted(rows));
  EXPECT_EQ(std::ranges::adjacent_find(rows), rows.end());
  EXPECT_LT(rows[3], 10);
  EXPECT_EQ((std::vector<int64_t>{rows[4], rows[5], rows[6]}), (std::vector<int64_t>{10, 11, 12}));
  EXPECT_GE(rows[7], 13);
  EXPECT_LT(rows[10], 25);
}

TEST(TokenChoice, KeepsAllWhereNoneIsTooMany) {
  const auto counts = at::tensor({4, 3}, at::kLong);
  for (const int64_t most : {0, 4, 9}) {
    const auto choice = choose_tokens(counts, 0, most, StreamKey(1));
    EXPECT_FALSE(choice.rows.defined());
    EXPECT_TRUE(choice.counts.equal(counts));
  }
}

TEST(TokenChoice, IsAFunctionOfKeyAndPosition) {
  const auto all = choose_tokens(at::tensor({20, 20, 20}, at::kLong), 7, 5, StreamKey(1));
  const auto last = choose_tokens(at::tensor({20}, at::kLong), 9, 5, StreamKey(1));
  EXPECT_TRUE(last.rows.add(40).equal(all.rows.narrow(0, 10, 5)));
  EXPECT_FALSE(choose_tokens(at::tensor({20}, at::kLong), 9, 5, StreamKey(2)).rows.equal(last.rows));
  EXPECT_FALSE(all.rows.narrow(0, 0, 5).equal(last.rows));
}

TEST(TokenChoice, EveryTokenIsAsLikely) {
  std::map<int64_t, int> times;
  const auto counts = at::tensor({8}, at::kLong);
  for (int64_t position = 0; position < 4000; ++position)
    for (const int64_t row : numbers(choose_tokens(counts, position, 2, StreamKey(3)).rows)) ++times[row];
  for (int64_t token = 0; token < 8; ++token) EXPECT_NEAR(times[token], 1000, 5 * 27.4) << token;  // five deviations
}

}  // namespace
}  // namespace acm::phases
