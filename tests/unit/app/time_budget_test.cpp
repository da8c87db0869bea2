#include "app/time_budget.h"

#include <gtest/gtest.h>

#include <ctime>
#include <future>
#include <string>

namespace acm::app {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

class TimeBudgetTest : public testing::Test {
 protected:
  std::function<void()> ask() {
    return [this] { asked_.set_value(); };
  }
  bool is_asked(std::chrono::seconds within) { return future_.wait_for(within) == std::future_status::ready; }

  std::promise<void> asked_;
  std::future<void> future_ = asked_.get_future();
};

TEST_F(TimeBudgetTest, AsksAFifthBeforeTheEnd) {
  const Stopwatch watch;
  const TimeBudget budget(0.5, ask());
  ASSERT_TRUE(is_asked(kPatience));
  EXPECT_GE(watch.seconds(), 0.4);
}

TEST_F(TimeBudgetTest, ASlowSaveBringsTheMomentNearer) {
  TimeBudget budget(3600, ask());
  EXPECT_FALSE(is_asked(std::chrono::seconds(0)));
  budget.note_save(1700);  // twice that and the reserve leave 170 s
  EXPECT_FALSE(is_asked(std::chrono::seconds(0)));
  budget.note_save(1790);
  EXPECT_TRUE(is_asked(kPatience));
}

TEST_F(TimeBudgetTest, WithoutATimeItNeverAsks) {
  { const TimeBudget budget(std::nullopt, ask()); }
  EXPECT_FALSE(is_asked(std::chrono::seconds(0)));
}

TEST(SecondsLeftOfJob, AreThoseThatSlurmTells) {
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_FALSE(seconds_left_of_job());
  setenv("SLURM_JOB_END_TIME", std::to_string(std::time(nullptr) + 100).c_str(), 1);
  EXPECT_NEAR(seconds_left_of_job().value(), 100, 5);
  setenv("SLURM_JOB_END_TIME", "1", 1);
  EXPECT_EQ(seconds_left_of_job(), 0);
  unsetenv("SLURM_JOB_END_TIME");
}

}  // namespace
}  // namespace acm::app
