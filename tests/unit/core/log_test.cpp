#include "core/log.h"

#include <gtest/gtest.h>

#include <regex>

#include "core/file.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm {
namespace {

void write_three_lines(Log& log) {
  log.info("phase 1: {} of 100%");
  log.warn("slow disk");
  log.error("no disk");
  log.flush();
}

TEST(Log, FileLinesHaveTimeAndLevel) {
  const Scratch scratch;
  Log log(scratch / "rank-00000.log", false);
  write_three_lines(log);
  const std::string time = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} ";
  const std::regex lines(time + "info phase 1: \\{\\} of 100%\n" + time + "warning slow disk\n" + time +
                         "error no disk\n");
  const std::string text = read_file(scratch / "rank-00000.log");
  EXPECT_TRUE(std::regex_match(text, lines)) << text;
}

TEST(Log, AppendsAndMakesTheFolder) {
  const Scratch scratch;
  const auto file = scratch / "log/rank-00000.log";
  Log(file, false).info("first");
  Log(file, false).info("second");
  const std::string text = read_file(file);
  EXPECT_LT(text.find("first"), text.find("second"));
  EXPECT_NE(text.find("second"), std::string::npos);
}

TEST(Log, EchoIsPlain) {
  testing::internal::CaptureStderr();
  {
    Log log({}, true);
    write_three_lines(log);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "phase 1: {} of 100%\nwarning: slow disk\nerror: no disk\n");
}

TEST(Log, ShowsOnlyWarningsAndErrorsWithoutEcho) {
  const Scratch scratch;
  testing::internal::CaptureStderr();
  {
    Log log(scratch / "a.log", false);
    write_three_lines(log);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: slow disk\nerror: no disk\n");
}

TEST(Log, AFileThatCannotBeOpenedIsUsage) {
  const Scratch scratch;
  replace_file(scratch / "file", "");
  expect_error(Fault::kUsage, "cannot open the log file " + (scratch / "file/rank.log").string(),
               [&] { Log log(scratch / "file/rank.log", false); });
}

}  // namespace
}  // namespace acm
