#include "app/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace acm::app {
namespace {

// Ends the process with 0 once a stop was asked for by `ask`, with 1 where that does not happen.
template <typename Ask>
[[noreturn]] void exit_when_asked(const Ask& ask) {
  StopSignals signals;
  ask(signals);
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any asked;
  asked.wait_for(lock, signals.token(), std::chrono::seconds(30), [] { return false; });
  std::_Exit(signals.token().stop_requested() ? 0 : 1);
}

// Each in a process of its own, as a signal that nobody blocks would end this one.
class StopSignalsTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_P(StopSignalsTest, BecomeAStopRequest) {
  EXPECT_EXIT(exit_when_asked([](StopSignals&) { kill(getpid(), GetParam()); }), testing::ExitedWithCode(0), "");
}

// At once it is the same one, delivered on two roads.
TEST_P(StopSignalsTest, MayComeTwice) {
  EXPECT_EXIT(exit_when_asked([](StopSignals&) {
                kill(getpid(), GetParam());
                kill(getpid(), GetParam());
              }),
              testing::ExitedWithCode(0), "");
}

TEST_P(StopSignalsTest, ASecondOneEndsTheProcessAtOnce) {
  EXPECT_EXIT(exit_when_asked([](StopSignals& signals) {
                const bool is_of_a_batch_system = GetParam() == SIGUSR1 || GetParam() == SIGUSR2;
                const auto second =
                    std::chrono::steady_clock::now() + std::chrono::milliseconds(is_of_a_batch_system ? 5100 : 1100);
                kill(getpid(), GetParam());
                std::this_thread::sleep_until(second);
                if (!signals.token().stop_requested()) std::_Exit(1);
                kill(getpid(), GetParam());
                std::this_thread::sleep_for(std::chrono::seconds(30));  // ended long before
              }),
              testing::ExitedWithCode(128 + GetParam()), "leaving at once");
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignalsTest, testing::Values(SIGTERM, SIGUSR1, SIGUSR2, SIGINT),
                         [](const auto& info) { return std::string(sigabbrev_np(info.param)); });

TEST(StopSignals, AskNothingByThemselves) {
  const StopSignals signals;
  EXPECT_FALSE(signals.token().stop_requested());
}

TEST(StopSignals, OthersMayAskToo) {
  StopSignals signals;
  signals.request_stop();
  EXPECT_TRUE(signals.token().stop_requested());
}

}  // namespace
}  // namespace acm::app
