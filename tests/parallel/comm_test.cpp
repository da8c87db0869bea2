#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>

#include "comm/communicator.h"
#include "comm/mpi/check_mpi.h"
#include "core/error.h"
#include "parallel/world.h"

namespace acm::comm {
namespace {

using parallel_test::groups;
using parallel_test::world;

// Without the checks, so that several collectives are in flight at once.
class Plain : public testing::Test {
 protected:
  Groups groups_ = world().connect(at::kCPU, false);
  Communicator& group_ = groups_.data;
  const int rank_ = group_.rank(), size_ = group_.size();
  const int64_t rank_sum_ = int64_t{size_} * (size_ - 1) / 2;
};

TEST(World, KnowsItsPlace) {
  const Place& place = world().place();
  EXPECT_EQ(place.rank, groups().control.rank());
  EXPECT_EQ(place.size, groups().data.size());
  EXPECT_FALSE(place.host.empty());
  EXPECT_GE(place.local_rank, 0);
  EXPECT_LT(place.local_rank, place.local_size);
  EXPECT_LE(place.local_size, place.size);
  const auto version = World::library_version();
  EXPECT_GT(version.size(), 3);
  EXPECT_EQ(version.find(" v"), std::string::npos) << version;
}

TEST_F(Plain, ReducesEveryDtype) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kLong, at::kInt, at::kByte}) {
    const auto reduced = [&](ReduceOp op) {
      const at::Tensor tensor = at::full({3, 2}, rank_ + 1, dtype);
      group_.all_reduce(tensor, op)->wait();
      return tensor[2][1].item<double>();
    };
    EXPECT_EQ(reduced(ReduceOp::kSum), static_cast<double>(rank_sum_ + size_));
    EXPECT_EQ(reduced(ReduceOp::kMin), 1);
    EXPECT_EQ(reduced(ReduceOp::kMax), size_);
  }
}

TEST_F(Plain, GathersAndBroadcasts) {
  const at::Tensor mine = at::full({2, 3}, rank_, at::kInt);
  const at::Tensor all = group_.all_gather(mine);
  EXPECT_EQ(all.sizes(), (std::vector<int64_t>{size_, 2, 3}));
  for (int rank = 0; rank < size_; ++rank) EXPECT_EQ(all[rank].eq(rank).all().item<bool>(), true);
  group_.broadcast(mine, size_ - 1);
  EXPECT_TRUE(mine.eq(size_ - 1).all().item<bool>());
  EXPECT_EQ(group_.all_gather(at::zeros({0, 3})).sizes(), (std::vector<int64_t>{size_, 0, 3}));
  group_.barrier();
}

// Rank r has r x s bytes for rank s, all of them 10 r + s; and what is long travels in pieces.
TEST_F(Plain, HandsPartsOverAll) {
  const auto expect_handed = [](Communicator& group, int64_t unit) {
    const auto part = [&](int from, int to) { return at::full({unit * from * to}, 10 * from + to, at::kByte); };
    std::vector<at::Tensor> parts;
    for (int to = 0; to < group.size(); ++to) parts.push_back(part(group.rank(), to));
    const auto received = group.all_to_all(parts);
    ASSERT_EQ(static_cast<int>(received.size()), group.size());
    for (int from = 0; from < group.size(); ++from)
      EXPECT_TRUE(received[static_cast<size_t>(from)].equal(part(from, group.rank()))) << from;
  };
  expect_handed(group_, 1);
  expect_handed(group_, 300'007);
  expect_handed(groups().control, 2);  // checked
  expect_handed(*groups().control.split(rank_ % 2), 3);
  EXPECT_THROW(group_.all_to_all({static_cast<size_t>(size_) + 1, at::zeros({1}, at::kByte)}), c10::Error);
  EXPECT_THROW(group_.all_to_all({static_cast<size_t>(size_), at::zeros({1})}), c10::Error);
}

// Several pieces, and a last one that is not full.
TEST_F(Plain, LongTensorsTravelWhole) {
  constexpr int64_t kCount = 1'000'003;  // 8 MB
  const at::Tensor numbers = at::arange(kCount, at::kLong);
  const at::Tensor sum = numbers.add(rank_);
  group_.all_reduce(sum, ReduceOp::kSum)->wait();
  EXPECT_TRUE(sum.equal(numbers.mul(size_).add(rank_sum_)));

  const at::Tensor all = group_.all_gather(numbers.add(rank_));
  for (int rank = 0; rank < size_; ++rank) EXPECT_TRUE(all[rank].equal(numbers.add(rank)));

  const at::Tensor sent = numbers.mul(rank_ + 1);
  group_.broadcast(sent, 0);
  EXPECT_TRUE(sent.equal(numbers));
}

TEST_F(Plain, ManyInFlightAreWaitedForInAnyOrder) {
  constexpr int kMany = 64;
  std::vector<at::Tensor> tensors;
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < kMany; ++i) {
    tensors.push_back(at::full({i * 1000 + 1}, rank_ + i, at::kDouble));
    Communicator& either = i % 2 == 0 ? groups_.data : groups_.control;
    works.push_back(either.all_reduce(tensors.back(), ReduceOp::kSum));
  }
  for (int i = kMany - 1; i >= 0; --i) {
    works[i]->wait();
    works[i]->wait();  // again is allowed
    EXPECT_TRUE(tensors[i].eq(static_cast<double>(rank_sum_ + i * size_)).all().item<bool>()) << i;
  }
}

TEST_F(Plain, ACallRunsAfterTheOnesBeforeIt) {
  const at::Tensor tensor = at::full({300'000}, 1, at::kDouble);
  const auto first = group_.all_reduce(tensor, ReduceOp::kSum);
  const auto second = group_.all_reduce(tensor, ReduceOp::kSum);
  second->wait();
  EXPECT_TRUE(tensor.eq(size_ * size_).all().item<bool>());
}

TEST_F(Plain, AWorkMayBeDroppedAndItsOperationStillEnds) {
  const at::Tensor tensor = at::full({500'000}, 1, at::kDouble);
  static_cast<void>(group_.all_reduce(tensor, ReduceOp::kSum));
  static_cast<void>(
      group_.all_reduce(at::full({500'000}, 1, at::kDouble), ReduceOp::kSum));  // nobody else holds this one
  group_.barrier();                                                             // behind both in the queue
  EXPECT_TRUE(tensor.eq(size_).all().item<bool>());
}

TEST_F(Plain, SumsHaveTheSameBitsOnEveryRankAndEveryTime) {
  const at::Tensor mine = at::rand({700'001}).div(rank_ + 3);  // rounding makes the order of additions visible
  const at::Tensor once = mine.clone(), again = mine.clone();
  group_.all_reduce(once, ReduceOp::kSum)->wait();
  group_.all_reduce(again, ReduceOp::kSum)->wait();
  EXPECT_EQ(std::memcmp(once.const_data_ptr(), again.const_data_ptr(), once.nbytes()), 0);
  const at::Tensor all = group_.all_gather(once);
  for (int rank = 0; rank < size_; ++rank) EXPECT_TRUE(all[rank].equal(once));
}

TEST_F(Plain, SplitsIntoGroupsThatMeetByThemselves) {
  const auto part = group_.split(rank_ % 2);
  const auto other = groups_.control.split(rank_ / 2);
  EXPECT_EQ(part->rank(), rank_ / 2);
  EXPECT_EQ(part->size(), (size_ + 1 - rank_ % 2) / 2);
  int64_t sum = 0;
  for (int rank = rank_ % 2; rank < size_; rank += 2) sum += rank;
  // Parts go on at their own pace, and one rank is in several groups at once.
  for (int i = 0; i <= 10 * (rank_ % 2); ++i) EXPECT_EQ(all_reduce_number(*part, int64_t{rank_}, ReduceOp::kSum), sum);
  EXPECT_EQ(all_reduce_number(*other, int64_t{1}, ReduceOp::kSum), std::min(2, size_ - rank_ / 2 * 2));
  EXPECT_EQ(all_reduce_number(group_, int64_t{1}, ReduceOp::kSum), size_);
}

TEST_F(Plain, RefusesWhatItCannotCarry) {
  EXPECT_THROW(static_cast<void>(group_.all_reduce(at::zeros({2, 3}).t(), ReduceOp::kSum)), c10::Error);
  EXPECT_THROW(group_.all_gather(at::zeros({2}, at::kHalf)), c10::Error);
  EXPECT_THROW(group_.broadcast(at::zeros({2}), size_), c10::Error);
}

TEST(Collectives, StringsAndNumbersOverMpi) {
  Communicator& control = groups().control;
  const std::string mine(3 * control.rank(), 'x');
  const auto all = all_gather_strings(control, mine);
  for (int rank = 0; rank < control.size(); ++rank) EXPECT_EQ(all[rank].size(), 3 * rank);
  EXPECT_EQ(broadcast_string(control, mine, control.size() - 1).size(), 3 * (control.size() - 1));
  EXPECT_EQ(all_reduce_number(control, int64_t{control.rank()}, ReduceOp::kMax), control.size() - 1);
  EXPECT_EQ(all_reduce_number(control, 0.5, ReduceOp::kSum), 0.5 * control.size());
}

TEST(Together, TheLowestFailingRankSpeaksForAll) {
  Communicator& control = groups().control;
  const int last = control.size() - 1;
  try {
    together(control, [&] {
      if (control.rank() == last) throw Error(Fault::kData, "broken");
    });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kData);
    EXPECT_TRUE(error.shared());
    EXPECT_EQ(error.what(), last == 0 ? "broken" : "rank " + std::to_string(last) + ": broken");
  }
  together(control, [] {});
}

TEST(Checked, NamesTheRankThatDiffersAndGoesOn) {
  const Groups both = groups();
  const int last = both.data.size() - 1;
  if (last == 0) GTEST_SKIP() << "one rank cannot differ";
  const auto expect_named = [&](const std::function<void(bool odd)>& call) {
    try {
      call(both.data.rank() == last);
      ADD_FAILURE() << "nothing was found";
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_EQ(error.fault(), Fault::kInternal);
      EXPECT_TRUE(error.shared());
      EXPECT_NE(message.find("rank " + std::to_string(last) + " called"), std::string::npos) << message;
      EXPECT_NE(message.find("where rank 0 called"), std::string::npos) << message;
    }
  };
  expect_named([&](bool odd) { both.data.all_reduce(at::zeros({odd ? 3 : 2}), ReduceOp::kSum)->wait(); });
  expect_named([&](bool odd) { odd ? both.data.barrier() : both.data.broadcast(at::zeros({2}), 0); });
  expect_named([&](bool odd) {
    if (odd) return both.data.barrier();
    both.data.all_to_all({static_cast<size_t>(both.data.size()), at::zeros({1}, at::kByte)});
  });
  expect_named([&](bool odd) { odd ? both.control.barrier() : both.data.barrier(); });
  both.data.barrier();
}

TEST(Mpi, ACodeBecomesAnErrorWithItsText) {
  EXPECT_NO_THROW(check_mpi(0, "MPI_Barrier"));
  try {
    check_mpi(1, "MPI_Barrier");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kResource);
    EXPECT_NE(std::string(error.what()).find("MPI_Barrier failed: MPI_ERR_"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace acm::comm
