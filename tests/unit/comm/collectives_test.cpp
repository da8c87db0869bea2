#include <gtest/gtest.h>

#include "comm/communicator.h"

namespace acm::comm {
namespace {

TEST(Collectives, StringsOfAnyLengthComeByRank) {
  run_local_group(3, [](Communicator& group) {
    const std::string mine = group.rank() == 1 ? "" : std::string("a\0b", 3) + std::string(group.rank() * 10, 'x');
    const auto all = all_gather_strings(group, mine);
    EXPECT_EQ(all,
              (std::vector<std::string>{std::string("a\0b", 3), "", std::string("a\0b", 3) + std::string(20, 'x')}));
    EXPECT_EQ(all_gather_strings(group, ""), std::vector<std::string>(3));
  });
}

TEST(Collectives, TheRootsStringReachesAll) {
  run_local_group(3, [](Communicator& group) {
    const std::string mine = "from " + std::string(group.rank(), '+');
    EXPECT_EQ(broadcast_string(group, mine), "from ");
    EXPECT_EQ(broadcast_string(group, mine, 2), "from ++");
    EXPECT_EQ(broadcast_string(group, group.is_root() ? "" : "ignored"), "");
  });
}

TEST(Collectives, NumbersKeepTheirBits) {
  run_local_group(3, [](Communicator& group) {
    const int64_t large = (int64_t{1} << 60) + group.rank();  // no double holds it
    EXPECT_EQ(all_reduce_number(group, large, ReduceOp::kMax), (int64_t{1} << 60) + 2);
    EXPECT_EQ(all_reduce_number(group, large, ReduceOp::kMin), int64_t{1} << 60);
    EXPECT_EQ(all_reduce_number(group, int64_t{2}, ReduceOp::kSum), 6);
    EXPECT_EQ(all_reduce_number(group, 0.1 * group.rank(), ReduceOp::kMax), 0.1 * 2);
  });
}

TEST(Collectives, AGroupOfOneIsNoSpecialCase) {
  const auto solo = make_solo_communicator();
  EXPECT_EQ(all_gather_strings(*solo, "x"), std::vector<std::string>{"x"});
  EXPECT_EQ(broadcast_string(*solo, "x"), "x");
  EXPECT_EQ(all_reduce_number(*solo, 2.5, ReduceOp::kSum), 2.5);
}

}  // namespace
}  // namespace acm::comm
