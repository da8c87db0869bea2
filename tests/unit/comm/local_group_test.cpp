#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <atomic>

#include "comm/communicator.h"
#include "core/error.h"

namespace acm::comm {
namespace {

TEST(LocalGroup, ReducesInPlaceOnEveryRank) {
  run_local_group(4, [](Communicator& group) {
    const double mine = group.rank() + 1;
    const auto reduced = [&](ReduceOp op) {
      const at::Tensor tensor = at::full({3}, mine, at::kDouble);
      group.all_reduce(tensor, op)->wait();
      return tensor[2].item<double>();
    };
    EXPECT_EQ(reduced(ReduceOp::kSum), 10);
    EXPECT_EQ(reduced(ReduceOp::kMin), 1);
    EXPECT_EQ(reduced(ReduceOp::kMax), 4);
  });
}

TEST(LocalGroup, AddsInRankOrder) {
  // In float32 (1 + 1e8) - 1e8 is 0 and (1e8 - 1e8) + 1 is 1: only one order gives each.
  for (int repeat = 0; repeat < 50; ++repeat) {
    run_local_group(3, [](Communicator& group) {
      const float values[] = {1.0F, 1e8F, -1e8F};
      const at::Tensor tensor = at::full({1}, values[group.rank()], at::kFloat);
      group.all_reduce(tensor, ReduceOp::kSum)->wait();
      EXPECT_EQ(tensor.item<float>(), 0.0F);
    });
  }
}

TEST(LocalGroup, GathersByRankAndBroadcastsFromAnyRoot) {
  run_local_group(3, [](Communicator& group) {
    const at::Tensor mine = at::full({2}, group.rank(), at::kInt);
    const at::Tensor all = group.all_gather(mine);
    EXPECT_EQ(all.sizes(), (std::vector<int64_t>{3, 2}));
    for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(all[rank][1].item<int>(), rank);
    group.broadcast(mine, 2);
    EXPECT_EQ(mine[0].item<int>(), 2);
  });
}

TEST(LocalGroup, BarrierHoldsBackTheEarlyRanks) {
  std::atomic<int> arrived = 0;
  run_local_group(4, [&](Communicator& group) {
    for (int round = 1; round <= 20; ++round) {
      ++arrived;
      group.barrier();
      EXPECT_GE(arrived.load(), 4 * round);
      group.barrier();
    }
  });
}

TEST(LocalGroup, AnErrorReleasesTheOthersAndComesOut) {
  std::atomic<int> released = 0;
  const auto rank_main = [&](Communicator& group) {
    if (group.rank() == 2) throw Error(Fault::kData, "rank two's own trouble");
    try {
      group.barrier();
    } catch (const Error&) {
      ++released;
      throw;
    }
  };
  try {
    run_local_group(4, rank_main);
    FAIL() << "no error came out";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kData);
    EXPECT_STREQ(error.what(), "rank two's own trouble");
  }
  EXPECT_EQ(released.load(), 3);
}

TEST(LocalGroup, TheLowestRanksErrorComesOut) {
  const auto rank_main = [](Communicator& group) {
    if (group.rank() > 0) throw std::runtime_error(std::to_string(group.rank()));
  };
  try {
    run_local_group(4, rank_main);
    FAIL() << "no error came out";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "1");
  }
}

TEST(LocalGroup, ARankThatReturnsEarlyReleasesTheOthers) {
  const auto rank_main = [](Communicator& group) {
    if (group.rank() != 1) group.barrier();
  };
  try {
    run_local_group(3, rank_main);
    FAIL() << "no error came out";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("rank 1 has left"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace acm::comm
