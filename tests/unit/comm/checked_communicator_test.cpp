#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "comm/call_check.h"
#include "core/error.h"

namespace acm::comm {
namespace {

// What every rank of a checked group of three throws; the test fails where their messages are not all equal.
std::string message_of(const std::function<void(Communicator&)>& rank_main) {
  std::vector<std::string> messages(3);
  run_local_group(3, [&](Communicator& inner) {
    const auto group = make_checked_communicator(inner);
    try {
      rank_main(*group);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kInternal);
      EXPECT_TRUE(error.shared());
      messages[inner.rank()] = error.what();
    }
  });
  EXPECT_EQ(messages[0], messages[1]);
  EXPECT_EQ(messages[0], messages[2]);
  return messages[0];
}

TEST(CheckedCommunicator, PassesEqualCallsOn) {
  const std::string message = message_of([](Communicator& group) {
    const at::Tensor tensor = at::full({2}, group.rank(), at::kDouble);
    EXPECT_EQ(group.all_gather(tensor)[2][0].item<double>(), 2);
    group.all_reduce(tensor, ReduceOp::kSum)->wait();
    EXPECT_EQ(tensor[1].item<double>(), 3);
    group.barrier();
    const at::Tensor number = at::full({}, group.rank(), at::kLong);
    group.broadcast(number, 1);
    EXPECT_EQ(number.item<int64_t>(), 1);
  });
  EXPECT_EQ(message, "");
}

TEST(CheckedCommunicator, NamesTheRankThatCallsSomethingElse) {
  const std::string message = message_of([](Communicator& group) {
    group.barrier();
    if (group.rank() == 1) {
      group.broadcast(at::zeros({4}, at::kLong), 2);
    } else {
      group.all_reduce(at::zeros({3, 5}), ReduceOp::kMax)->wait();
    }
  });
  EXPECT_NE(message.find("rank 1 called broadcast from rank 2 of Long [4] on the group (call 1) where rank 0 called "
                         "all_reduce by maximum of Float [3, 5]"),
            std::string::npos)
      << message;
}

TEST(CheckedCommunicator, ChecksItsPartsOverPartsOfTheSameRoad) {
  const std::string message = message_of([](Communicator& group) {
    const auto part = group.split(7);
    part->barrier();
    part->broadcast(at::zeros({4}), group.rank() == 2 ? 1 : 0);
  });
  EXPECT_NE(message.find("rank 2 called broadcast from rank 1 of Float [4] on the group/7 (call 1)"), std::string::npos)
      << message;
}

TEST(CheckedCommunicator, NamesTheRankWithAnotherShapeDtypeOrReduction) {
  const auto names_rank_two = [](const std::function<void(Communicator&, bool)>& call) {
    const std::string message = message_of([&](Communicator& group) { call(group, group.rank() == 2); });
    EXPECT_NE(message.find("rank 2 called"), std::string::npos) << message;
  };
  names_rank_two([](Communicator& group, bool odd) { group.all_gather(at::zeros({odd ? 3 : 2, 2})); });
  names_rank_two([](Communicator& group, bool odd) { group.all_gather(at::zeros({2}, odd ? at::kInt : at::kFloat)); });
  names_rank_two([](Communicator& group, bool odd) { group.broadcast(at::zeros({2}), odd ? 1 : 0); });
  names_rank_two([](Communicator& group, bool odd) {
    group.all_reduce(at::zeros({2}), odd ? ReduceOp::kMin : ReduceOp::kMax)->wait();
  });
}

TEST(CheckedCommunicator, APartIsCheckedByItself) {
  run_local_group(3, [](Communicator& inner) {
    const auto checked = make_checked_communicator(inner);
    const auto part = checked->split(inner.rank() == 0 ? 0 : 1);
    if (inner.rank() == 0) return part->barrier();
    try {
      part->all_gather(at::zeros({inner.rank()}));
      ADD_FAILURE() << "nothing was found";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("rank 1 called"), std::string::npos) << error.what();
    }
  });
}

TEST(CheckedCommunicator, NamesTheRankThatUsesTheOtherGroup) {
  run_local_group(2, [](Communicator& inner) {
    const auto check = std::make_shared<CallCheck>(inner, std::vector<std::string>{"data", "control"});
    const auto data = make_checked_communicator(inner, check, 0);
    const auto control = make_checked_communicator(inner, check, 1);
    try {
      (inner.rank() == 0 ? data : control)->barrier();
      ADD_FAILURE() << "nothing was found";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("rank 1 called barrier on control"), std::string::npos) << error.what();
    }
  });
}

}  // namespace
}  // namespace acm::comm
