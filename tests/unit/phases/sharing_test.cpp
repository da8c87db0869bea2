#include "phases/sharing.h"

#include <gtest/gtest.h>

namespace acm::phases {
namespace {

TEST(ShareOut, TheDearestGoesToTheRankWithTheLeastToDo) {
  // 9 -> 0, 7 -> 1, 6 -> 1 (7 < 9), 5 -> 0 (9 < 13), 2 -> 1 (13 < 14)
  EXPECT_EQ(share_out({2, 9, 5, 7, 6}, 2), (std::vector<int>{1, 0, 0, 1, 1}));
}

TEST(ShareOut, EqualsGoToTheLowerRankInOrder) {
  EXPECT_EQ(share_out({4, 4, 4, 4, 4}, 3), (std::vector<int>{0, 1, 2, 0, 1}));
}

TEST(ShareOut, RanksWithoutASiteAreLeftOut) { EXPECT_EQ(share_out({1, 3}, 5), (std::vector<int>{1, 0})); }

TEST(ShareOut, OneRankDoesEverything) {
  EXPECT_EQ(share_out({1, 2, 3}, 1), (std::vector<int>{0, 0, 0}));
  EXPECT_TRUE(share_out({}, 2).empty());
}

}  // namespace
}  // namespace acm::phases
