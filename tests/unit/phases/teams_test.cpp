#include "phases/teams.h"

#include <gtest/gtest.h>

namespace acm::phases {
namespace {

TEST(Teams, WithoutSlicesEveryRankIsATeam) {
  const auto plan = plan_teams({4, 4}, 5, 1);
  EXPECT_EQ(plan.size, 1);
  EXPECT_EQ(plan.teams, 5);
  EXPECT_EQ(plan.team_of_site, (std::vector<int>{0, 1}));
  EXPECT_EQ(plan.load_of_rank, (std::vector<double>{4, 4, 0, 0, 0}));
  EXPECT_EQ(plan.greatest_load(), 4);
  EXPECT_DOUBLE_EQ(plan.imbalance(), 2.5);
}

TEST(Teams, RanksShareASiteWhereTheyOutnumberThem) {
  const auto plan = plan_teams({4, 4}, 5, 4);
  EXPECT_EQ(plan.size, 2);
  EXPECT_EQ(plan.teams, 2);
  EXPECT_EQ(plan.load_of_rank, (std::vector<double>{2, 2, 2, 2, 0}));
  EXPECT_EQ(plan.team_of_rank(1), 0);
  EXPECT_EQ(plan.team_of_rank(3), 1);
  EXPECT_EQ(plan.team_of_rank(4), -1);
}

TEST(Teams, AreAsSmallAsTheLeastLoadAllows) {
  EXPECT_EQ(plan_teams({4, 4, 4, 4}, 4, 8).size, 1);  // 4 each way
  EXPECT_EQ(plan_teams({4, 4, 4}, 4, 8).size, 4);     // 12 / 4 each, alone 4
  EXPECT_EQ(plan_teams({4}, 4, 2).size, 2);           // no more than slices
  EXPECT_EQ(plan_teams({4}, 7, 8).size, 4);
  EXPECT_EQ(plan_teams({4}, 8, 8).size, 8);
}

TEST(Teams, TheDearestSiteGoesToTheTeamWithTheLeastToDo) {
  const auto plan = plan_teams({2, 9, 5, 7, 6}, 2, 1);
  EXPECT_EQ(plan.team_of_site, (std::vector<int>{1, 0, 0, 1, 1}));
  EXPECT_DOUBLE_EQ(plan.imbalance(), 15 / 14.5);
}

}  // namespace
}  // namespace acm::phases
