#include "comm/watchdog.h"

#include <gtest/gtest.h>

namespace acm::comm {
namespace {

using States = std::vector<std::optional<BeatState>>;

constexpr double kPeriod = 1;
constexpr WatchdogLimits kLimits{.silent_seconds = 10, .late_seconds = 30};

// Three ranks in step 8 of phase 3, in the same collective; rank 0 watches.
States three_ranks() {
  States states(3);
  for (int rank = 0; rank < 3; ++rank) {
    auto& state = states[static_cast<size_t>(rank)].emplace();
    state.counter = 100;
    state.host = "n" + std::to_string(rank);
    state.pid = 1000 + rank;
    state.phase = "finetune";
    state.step = 7;
    state.call = {.group = "data", .operation = "all_reduce", .number = 40, .is_over = false};
  }
  return states;
}

class WatchdogTest : public testing::Test {
 protected:
  // Looks so many times, a period apart; the beats of the ranks in `alive` move.
  std::optional<std::string> looks(int times, const std::vector<size_t>& alive, double elapsed = kPeriod,
                                   std::optional<double> slowest_step = std::nullopt) {
    for (int i = 0; i < times; ++i) {
      for (const size_t rank : alive) ++states_[rank]->counter;
      if (auto lost = dog_.look(states_, elapsed, kPeriod, slowest_step)) return lost;
    }
    return std::nullopt;
  }
  static void expect_parts(const std::optional<std::string>& text, std::initializer_list<const char*> parts) {
    ASSERT_TRUE(text);
    for (const char* part : parts) EXPECT_NE(text->find(part), std::string::npos) << part << " in " << *text;
  }

  States states_ = three_ranks();
  Watchdog dog_{0, 3, kLimits};
};

TEST_F(WatchdogTest, RanksThatBeatAreWell) { EXPECT_FALSE(looks(1000, {0, 1, 2})); }

TEST_F(WatchdogTest, ASilentRankIsNamedWithTheCollectiveAndTheStep) {
  EXPECT_FALSE(looks(5, {0, 1, 2}));
  EXPECT_FALSE(looks(10, {0, 1}));
  expect_parts(looks(1, {0, 1}), {"rank 2 (process 1002 on n2) is lost", "no sign of life for 11 s",
                                  "has waited 15 s in all_reduce 40 of the group data at step 8 of finetune"});
}

TEST_F(WatchdogTest, ARankThatComesBackInTimeIsForgiven) {
  EXPECT_FALSE(looks(10, {0, 1}));
  EXPECT_FALSE(looks(1, {0, 1, 2}));
  EXPECT_FALSE(looks(10, {0, 1}));
}

TEST_F(WatchdogTest, TimeInWhichThisRankSleptAccusesNobody) {
  looks(1, {0, 1, 2});
  EXPECT_FALSE(looks(4, {0}, 3600));  // counts as two periods each
  EXPECT_TRUE(looks(2, {0}, 3600));
}

TEST_F(WatchdogTest, ARankThatHasLeftMayBeSilent) {
  states_[2]->has_left = true;
  EXPECT_FALSE(looks(1000, {0, 1}));
}

TEST_F(WatchdogTest, ARankThatHasNotBegunHasLonger) {
  states_[1].reset();
  EXPECT_FALSE(looks(60, {0, 2}));
  expect_parts(looks(1, {0, 2}), {"rank 1 is lost"});
}

TEST_F(WatchdogTest, ACollectiveThatHasFailedEndsTheRunAtOnceWithItsSentence) {
  states_[1]->call.failure = "of another rank";
  EXPECT_FALSE(looks(3, {0, 1, 2}));
  states_[0]->call.failure = "all_reduce 40 of the group data failed";
  expect_parts(looks(1, {0, 1, 2}),
               {"all_reduce 40 of the group data failed; this rank has waited 3 s in all_reduce 40 "
                "of the group data at step 8 of finetune; the other ranks' logs"});
}

TEST_F(WatchdogTest, ALateRankIsNamedOnceTheDeadlineOfAStepIsOver) {
  states_[1]->call.number = 39;
  states_[1]->call.is_over = true;
  EXPECT_FALSE(looks(31, {0, 1, 2}, kPeriod, 0.5));          // the first look only begins to count
  EXPECT_FALSE(looks(1, {0, 1, 2}, kPeriod, 7));             // steps of 7 s may take 35
  EXPECT_FALSE(looks(1, {0, 1, 2}, kPeriod, std::nullopt));  // no step: it may take hours
  expect_parts(looks(1, {0, 1, 2}, kPeriod, 0.5),
               {"rank 1 (process 1001 on n1) is late", "last seen in all_reduce 39 of the group data",
                "has waited 33 s in all_reduce 40 of the group data at step 8 of finetune"});
}

TEST_F(WatchdogTest, ACollectiveThatEndsBeginsTheCountAnew) {
  states_[1]->call.number = 39;
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(looks(20, {0, 1, 2}, kPeriod, 0.5));
    ++states_[0]->call.number;
  }
}

TEST_F(WatchdogTest, AJobThatWasSuspendedAccusesNobody) {
  EXPECT_FALSE(looks(2, {0, 1, 2}, kPeriod, 0.5));
  EXPECT_FALSE(looks(1, {0, 1, 2}, 3600, 0.5));
  EXPECT_FALSE(looks(20, {0, 1, 2}, kPeriod, 0.5));
}

TEST_F(WatchdogTest, ADiskThatDoesNotAnswerIsNamedByItsRankAndStep) {
  states_[0]->saving = states_[1]->saving = 400;
  EXPECT_FALSE(looks(500, {0, 1, 2}));
  states_[0]->saving = 0;  // has written its part
  EXPECT_FALSE(looks(101, {0, 1, 2}));
  expect_parts(looks(1, {0, 1, 2}),
               {"rank 1 (process 1001 on n1) has been writing its part of the checkpoint of step 400",
                "of finetune for 601 s", "safety.save_seconds"});
}

TEST_F(WatchdogTest, EachCheckpointHasItsOwnTime) {
  for (int64_t step = 100; step < 1000; step += 100) {
    states_[0]->saving = step;
    EXPECT_FALSE(looks(500, {0, 1, 2}));
  }
}

TEST_F(WatchdogTest, OnlyRanksOfTheSameSiteCanBeLate) {
  states_[0]->site = states_[2]->site = "blocks.0.ffn";
  states_[1]->site = "blocks.1.ffn";
  states_[1]->call = {.group = "data/1", .operation = "all_gather", .number = 3};
  expect_parts(looks(40, {0, 1, 2}, kPeriod, 0.5), {"no rank is late", "the network between the ranks"});
  states_[2]->call.number = 12;
  expect_parts(looks(1, {0, 1, 2}, kPeriod, 0.5), {"rank 2 (process 1002 on n2) is late", "site blocks.0.ffn"});
}

}  // namespace
}  // namespace acm::comm
