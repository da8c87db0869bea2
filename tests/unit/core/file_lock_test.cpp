#include "core/file_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm {
namespace {

using namespace std::chrono_literals;

TEST(FileLock, ASecondHolderIsToldOfTheFirst) {
  const Scratch scratch;
  const FileLock first(scratch / "lock", "host a, process 7", 0ms);
  ASSERT_TRUE(first.is_held());
  EXPECT_EQ(first.previous(), "");
  const auto message = expect_error(Fault::kUsage, "cannot use " + scratch.folder().string() + ": another run uses it",
                                    [&] { FileLock(scratch / "lock", "host b", 0ms); });
  EXPECT_NE(message.find("host a, process 7"), std::string::npos) << message;
}

TEST(FileLock, WaitsForAHolderThatIsEnding) {
  const Scratch scratch;
  auto first = std::make_unique<FileLock>(scratch / "lock", "first", 0ms);
  std::jthread ending([&] { first.reset(); });
  EXPECT_TRUE(FileLock(scratch / "lock", "second", 30s).is_held());
}

TEST(FileLock, IsDroppedByAKilledProcessAndSaysWhoseItWas) {
  const Scratch scratch;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const FileLock held(scratch / "lock", "the killed one", 0ms);
    (void)!write(ready[1], "x", 1);
    pause();
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_THROW(FileLock(scratch / "lock", "early", 0ms), Error);
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  FileLock next(scratch / "lock", "next", 0ms);
  EXPECT_EQ(next.previous(), "the killed one");
  next.clear();
}

TEST(FileLock, AnOrderlyEndLeavesNoName) {
  const Scratch scratch;
  FileLock(scratch / "lock", "a rather long name of the first", 0ms).clear();
  EXPECT_EQ(FileLock(scratch / "lock", "b", 0ms).previous(), "");
  EXPECT_EQ(read_file(scratch / "lock"), "b");
}

}  // namespace
}  // namespace acm
