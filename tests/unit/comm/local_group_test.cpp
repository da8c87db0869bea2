#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

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

// Rank r has r x s bytes for rank s.
TEST(LocalGroup, HandsPartsOverAll) {
  run_local_group(3, [](Communicator& group) {
    const auto part = [](int from, int to) { return at::full({from * to}, 10 * from + to, at::kByte); };
    std::vector<at::Tensor> parts;
    for (int to = 0; to < 3; ++to) parts.push_back(part(group.rank(), to));
    const auto received = group.all_to_all(parts);
    ASSERT_EQ(received.size(), 3);
    for (int from = 0; from < 3; ++from)
      EXPECT_TRUE(received[static_cast<size_t>(from)].equal(part(from, group.rank()))) << from;
    EXPECT_THROW(group.all_to_all({part(1, 1)}), c10::Error);
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

TEST(LocalGroup, SplitsIntoGroupsThatMeetByThemselves) {
  run_local_group(5, [](Communicator& group) {
    for (int round = 0; round < 2; ++round) {
      // Ranks 0, 2, 4 and 1, 3.
      const auto part = group.split(group.rank() % 2);
      EXPECT_EQ(part->size(), group.rank() % 2 == 0 ? 3 : 2);
      EXPECT_EQ(part->rank(), group.rank() / 2);
      EXPECT_EQ(all_reduce_number(*part, int64_t{group.rank()}, ReduceOp::kSum), group.rank() % 2 == 0 ? 6 : 4);
      if (group.rank() % 2 == 0) part->barrier();  // the others need not come
    }
    EXPECT_EQ(all_reduce_number(group, int64_t{1}, ReduceOp::kSum), 5);
  });
}

TEST(LocalGroup, AnErrorReleasesThePartOfItsRankAlone) {
  std::atomic<int> summed = 0;
  const auto rank_main = [&](Communicator& group) {
    const auto part = group.split(group.rank() / 2);
    if (group.rank() == 3) throw Error(Fault::kData, "rank three's own trouble");
    if (group.rank() == 2) part->barrier();
    for (int i = 0; i < 100; ++i) summed += static_cast<int>(all_reduce_number(*part, int64_t{1}, ReduceOp::kSum));
  };
  try {
    run_local_group(4, rank_main);
    FAIL() << "no error came out";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "rank three's own trouble");
  }
  EXPECT_EQ(summed.load(), 400);
}

int threads_of_process() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int threads = 0;
    if (word == "Threads:" && status >> threads) return threads;
  }
  return 0;
}

TEST(LocalGroup, HundredsOfRanksRunOperationsOnOneThreadEach) {
  constexpr int kRanks = 256;
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  const int before = threads_of_process();
  run_local_group(kRanks, [&](Communicator& group) {
    const at::Tensor large = at::full({1 << 17}, 1.0F).add(1);  // more than operations leave to one thread
    EXPECT_EQ(large[0].item<float>(), 2);
    group.barrier();
    if (group.is_root()) {
      EXPECT_EQ(threads_of_process(), before + kRanks);
    }
    group.barrier();
  });
  EXPECT_EQ(at::get_num_threads(), 2);
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace acm::comm
