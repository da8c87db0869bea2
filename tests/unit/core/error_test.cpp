#include "core/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace acm {
namespace {

TEST(Error, FaultsAreTheExitCodes) {
  EXPECT_EQ(static_cast<int>(Fault::kUsage), 64);
  EXPECT_EQ(static_cast<int>(Fault::kData), 65);
  EXPECT_EQ(static_cast<int>(Fault::kInternal), 70);
  EXPECT_EQ(static_cast<int>(Fault::kResource), 71);
}

TEST(Error, KnowsWhereItWasThrownAndWhetherItIsShared) {
  Error error(Fault::kData, "bad");
  EXPECT_NE(std::string(error.where().file_name()).find("error_test.cpp"), std::string::npos);
  EXPECT_FALSE(error.shared());
  EXPECT_TRUE(error.mark_shared().shared());
}

TEST(Error, IsFitForATerminal) {
  const std::string name("a\x1b[2J\r\0\x7f\xc2\x9b", 10);
  EXPECT_STREQ(Error(Fault::kData, "no " + name + " here:\n\tué").what(),
               "no a\\x1b[2J\\x0d\\x00\\x7f\\xc2\\x9b here:\n\tué");
  EXPECT_EQ(printable("a\xff\xc3"), "a\\xff\\xc3");  // no UTF-8, and half of a letter
}

TEST(ErrnoError, NoSpaceIsResource) {
  for (const int number : {ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM}) {
    EXPECT_EQ(errno_error("x", number, Fault::kUsage).fault(), Fault::kResource) << number;
  }
  EXPECT_STREQ(errno_error("cannot write a.bin", ENOSPC).what(),
               "cannot write a.bin: No space left on device; free some space or choose another place");
}

TEST(ErrnoError, ForbiddenPlacesAreUsage) {
  for (const int number : {EACCES, EPERM, EROFS}) EXPECT_EQ(errno_error("x", number).fault(), Fault::kUsage) << number;
  EXPECT_STREQ(errno_error("cannot open a.bin", EACCES).what(),
               "cannot open a.bin: Permission denied; check its permissions or choose another place");
}

TEST(ErrnoError, AnythingElseIsWhatTheCallerSays) {
  EXPECT_EQ(errno_error("x", ENOENT).fault(), Fault::kData);
  const Error error = errno_error("cannot open a.bin", ENOENT, Fault::kUsage);
  EXPECT_EQ(error.fault(), Fault::kUsage);
  EXPECT_STREQ(error.what(), "cannot open a.bin: No such file or directory; check the path");
  EXPECT_NE(std::string(error.where().file_name()).find("error_test.cpp"), std::string::npos);
}

}  // namespace
}  // namespace acm
