#include "core/time_text.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"

namespace acm {
namespace {

TEST(TimeText, ReadsSecondsAndSlurmsForms) {
  EXPECT_EQ(seconds_from("5400"), 5400);
  EXPECT_EQ(seconds_from("1.5"), 1.5);
  EXPECT_EQ(seconds_from("90:30"), 90 * 60 + 30);
  EXPECT_EQ(seconds_from("01:02:03"), 3723);
  EXPECT_EQ(seconds_from("2-03"), 2 * 86400 + 3 * 3600);
  EXPECT_EQ(seconds_from("2-03:04"), 2 * 86400 + 3 * 3600 + 4 * 60);
  EXPECT_EQ(seconds_from("2-03:04:05"), 2 * 86400 + 3 * 3600 + 4 * 60 + 5);
}

TEST(TimeText, SaysWhatIsNoTime) {
  for (const char* text : {"", "soon", "1:2:3:4", "-5", "5m", "1:", ":1", "nan", "UNLIMITED"})
    expect_error(Fault::kUsage, "'" + std::string(text) + "' is no length of time: give seconds",
                 [&] { seconds_from(text); });
}

}  // namespace
}  // namespace acm
