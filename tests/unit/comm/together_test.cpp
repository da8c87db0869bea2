#include <gtest/gtest.h>

#include <stdexcept>

#include "comm/communicator.h"
#include "core/error.h"

namespace acm::comm {
namespace {

// Runs `work` together on a group of three and expects the same shared error on every rank.
void expect_everywhere(const std::function<void(int rank)>& work, Fault fault, const std::string& message) {
  run_local_group(3, [&](Communicator& group) {
    try {
      together(group, [&] { work(group.rank()); });
      ADD_FAILURE() << "rank " << group.rank() << " threw nothing";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), fault);
      EXPECT_EQ(error.what(), message);
      EXPECT_TRUE(error.shared());
    }
  });
}

TEST(Together, PassesWhenAllRanksPass) {
  run_local_group(3, [](Communicator& group) {
    int runs = 0;
    together(group, [&] { ++runs; });
    EXPECT_EQ(runs, 1);
  });
}

TEST(Together, TheLowestFailingRankSpeaksForAll) {
  const auto work = [](int rank) {
    if (rank == 1) throw Error(Fault::kData, "one");
    if (rank == 2) throw Error(Fault::kUsage, "two");
  };
  expect_everywhere(work, Fault::kData, "rank 1: one");
}

TEST(Together, NamesNoRankWhereAllFailAlike) {
  expect_everywhere([](int) { throw Error(Fault::kUsage, "no such file"); }, Fault::kUsage, "no such file");
}

TEST(Together, ABugOnOneRankLeavesNobodyWaiting) {
  const auto work = [](int rank) {
    if (rank == 2) throw std::logic_error("a bug");
  };
  expect_everywhere(work, Fault::kInternal, "rank 2: internal error, please report it: a bug");
}

TEST(Together, AGroupOfOneNamesNoRank) {
  const auto solo = make_solo_communicator();
  try {
    together(*solo, [] { throw Error(Fault::kResource, "full"); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "full");
    EXPECT_TRUE(error.shared());
  }
}

}  // namespace
}  // namespace acm::comm
