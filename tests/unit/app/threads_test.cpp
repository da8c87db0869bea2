#include "app/threads.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace acm::app {
namespace {

TEST(SetThreads, AreThoseThatWereAskedFor) {
  const int before = at::get_num_threads();
  EXPECT_EQ(set_threads(3, 8), 3);
  EXPECT_EQ(at::get_num_threads(), 3);
  at::set_num_threads(before);
}

TEST(SetThreads, AreARanksShareOfTheCores) {
  const int before = at::get_num_threads();
  const int cores = set_threads(0, 1);
  EXPECT_GE(cores, 1);
  EXPECT_EQ(set_threads(0, 2), std::max(1, cores / 2));
  EXPECT_EQ(set_threads(0, 100'000), 1);
  EXPECT_EQ(at::get_num_threads(), 1);
  at::set_num_threads(before);
}

TEST(PassiveWaiting, AProcessThatHasAPolicyGoesOn) {
  setenv("OMP_WAIT_POLICY", "active", 1);
  ensure_passive_waiting(nullptr);
  EXPECT_STREQ(std::getenv("OMP_WAIT_POLICY"), "active");
  unsetenv("OMP_WAIT_POLICY");
}

constexpr const char* kStartedAgain = "ACM_TEST_STARTED_AGAIN";

// Starts this program again for the test below alone.
[[noreturn]] void start_again() {
  unsetenv("OMP_WAIT_POLICY");
  setenv(kStartedAgain, "1", 1);
  std::string name = "unit_app", filter = "--gtest_filter=PassiveWaiting.AProcessWithoutAPolicyIsStartedAgainWithIt";
  char* argv[] = {name.data(), filter.data(), nullptr};
  ensure_passive_waiting(argv);
  std::_Exit(17);  // it was not started again
}

TEST(PassiveWaiting, AProcessWithoutAPolicyIsStartedAgainWithIt) {
  if (std::getenv(kStartedAgain)) {
    EXPECT_STREQ(std::getenv("OMP_WAIT_POLICY"), "passive");
    return;
  }
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(start_again(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace acm::app
