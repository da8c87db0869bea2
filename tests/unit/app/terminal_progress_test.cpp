#include "app/terminal_progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "core/file.h"
#include "unit/core/scratch.h"

namespace acm::app {
namespace {

ProgressReport report_of(int64_t done, int64_t total) {
  return {.phase = "distill", .done = done, .total = total, .unit = "sites"};
}

TEST(ProgressLine, ShowsOnlyWhatIsKnown) { EXPECT_EQ(progress_line(report_of(3, 20), -1), "distill 3/20 sites"); }

TEST(ProgressLine, ShowsLossRateTimeAndNote) {
  auto report = report_of(3, 20);
  report.loss = 0.042104;
  report.has_loss = true;
  report.rate = 51199.6;
  report.rate_unit = "tokens";
  report.note = "blocks.1.ffn step 200/800";
  const auto line = progress_line(report, 42.2);
  EXPECT_EQ(line, "distill 3/20 sites  loss 0.042104  51200 tokens/s  0:42 left  blocks.1.ffn step 200/800");
}

TEST(ProgressLine, ShowsTheShareOfTimeSpentWaitingForData) {
  auto report = report_of(3, 20);
  report.data_wait = 0.246;
  EXPECT_EQ(progress_line(report, -1), "distill 3/20 sites  25 % data wait");
}

TEST(ProgressLine, TimeHasHoursWhereItNeedsThem) {
  const auto left = [](double seconds) {
    const auto line = progress_line(report_of(0, 1), seconds);
    return line.substr(line.find("  ") + 2);
  };
  EXPECT_EQ(left(0), "0:00 left");
  EXPECT_EQ(left(59.6), "1:00 left");
  EXPECT_EQ(left(3599), "59:59 left");
  EXPECT_EQ(left(3600), "1:00:00 left");
  EXPECT_EQ(left(100 * 3600 + 62), "100:01:02 left");
}

class TerminalProgressTest : public testing::Test {
 protected:
  // What the log holds after `work`, without times and levels.
  std::string logged(const std::function<void(Progress&)>& work) {
    {
      Log log(scratch_ / "log", false);
      TerminalProgress progress(log, false);
      work(progress);
    }
    return read_file(scratch_ / "log");
  }
  const Scratch scratch_;
};

TEST_F(TerminalProgressTest, WithoutATerminalTheLastLineIsLogged) {
  const auto text = logged([](Progress& progress) {
    for (int i = 1; i <= 20; ++i) progress.report(report_of(i, 20));
    progress.finish("distill");
  });
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
  EXPECT_NE(text.find("distill 20/20 sites"), std::string::npos) << text;
}

TEST_F(TerminalProgressTest, OnlyThePhaseThatRunsIsFinished) {
  EXPECT_EQ(logged([](Progress& progress) {
              progress.finish("distill");
              progress.report(report_of(1, 20));
              progress.finish("capture");
            }),
            "");
  const auto twice = logged([](Progress& progress) {
    progress.report(report_of(1, 20));
    progress.finish("distill");
    progress.finish("distill");
  });
  EXPECT_EQ(std::ranges::count(twice, '\n'), 1) << twice;
}

TEST_F(TerminalProgressTest, ATerminalsLineIsRedrawnAndEnded) {
  testing::internal::CaptureStderr();
  Log log({}, false);
  TerminalProgress progress(log, true);
  progress.report(report_of(20, 20));
  progress.finish("distill");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "\r\033[Kdistill 20/20 sites  0:00 left\n");
}

TEST(TerminalProgress, TheLauncherMaySayThatThereIsATerminal) {
  setenv("ACM_DIST_TERMINAL", "1", 1);
  EXPECT_TRUE(TerminalProgress::is_terminal());
  unsetenv("ACM_DIST_TERMINAL");
}

}  // namespace
}  // namespace acm::app
