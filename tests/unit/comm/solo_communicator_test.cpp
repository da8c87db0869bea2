#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include "comm/communicator.h"

namespace acm::comm {
namespace {

TEST(SoloCommunicator, EveryCollectiveIsTheIdentity) {
  const auto group = make_solo_communicator();
  EXPECT_EQ(group->rank(), 0);
  EXPECT_EQ(group->size(), 1);
  EXPECT_TRUE(group->is_root());
  const at::Tensor tensor = at::arange(6, at::kFloat).view({2, 3});
  const at::Tensor before = tensor.clone();
  for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) group->all_reduce(tensor, op)->wait();
  group->broadcast(tensor, 0);
  group->barrier();
  EXPECT_TRUE(tensor.equal(before));
}

TEST(SoloCommunicator, AllGatherIsACopyWithALeadingDimension) {
  const auto group = make_solo_communicator();
  const at::Tensor tensor = at::arange(3, at::kLong);
  const at::Tensor gathered = group->all_gather(tensor);
  tensor.zero_();
  EXPECT_EQ(gathered.sizes(), (std::vector<int64_t>{1, 3}));
  EXPECT_TRUE(gathered[0].equal(at::arange(3, at::kLong)));
}

TEST(SoloCommunicator, RefusesWhatALargerGroupWouldRefuse) {
  const auto group = make_solo_communicator();
  EXPECT_THROW(static_cast<void>(group->all_reduce(at::empty({2, 3}).t(), ReduceOp::kSum)), c10::Error);
  EXPECT_THROW(group->all_gather(at::empty({2}, at::kHalf)), c10::Error);
  EXPECT_THROW(group->all_gather(at::Tensor()), c10::Error);
  EXPECT_THROW(group->broadcast(at::empty({2}), 1), c10::Error);
}

}  // namespace
}  // namespace acm::comm
