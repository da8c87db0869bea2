#include "acm/token_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/random.h"

namespace acm {
namespace {

TEST(TokenOrder, HoldsEveryTokenOnceWithItsCount) {
  constexpr int64_t kTokens = 2000, kLearners = 4;
  std::vector<int64_t> choice;
  for (int64_t i = 0; i < kTokens; ++i)
    choice.push_back(static_cast<int64_t>(random_below(StreamKey(1), i, kLearners + 1)));
  const TokenOrder order(choice, kLearners, 24);
  std::vector<int64_t> seen;
  for (const TokenBlock& block : order.blocks()) {
    EXPECT_TRUE(std::ranges::is_sorted(block.tokens));
    for (const int64_t token : block.tokens) {
      EXPECT_EQ(choice[static_cast<size_t>(token)], block.count);
      seen.push_back(token);
    }
  }
  std::ranges::sort(seen);
  EXPECT_EQ(seen.size(), choice.size());
  for (int64_t i = 0; i < kTokens; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(TokenOrder, TheDearestBlocksComeFirst) {
  const TokenOrder order(std::vector<int64_t>{0, 2, 1, 2, 0}, 2, 8);
  ASSERT_EQ(order.blocks().size(), 3u);
  EXPECT_EQ(order.blocks()[0].count, 2);
  EXPECT_FALSE(order.blocks()[0].consecutive());
  EXPECT_EQ(order.blocks()[1].count, 1);
  EXPECT_TRUE(order.blocks()[1].consecutive());
  EXPECT_EQ(order.blocks()[2].count, 0);
}

TEST(TokenOrder, RefusesACountThatIsNotThere) {
  for (const int64_t count : {-1, 3}) EXPECT_ANY_THROW(TokenOrder(std::vector<int64_t>{0, count}, 2, 8)) << count;
  EXPECT_TRUE(TokenOrder({}, 2, 8).blocks().empty());
}

}  // namespace
}  // namespace acm
