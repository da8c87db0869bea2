#include "comm/nccl/nccl.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"

namespace acm::comm {
namespace {

using nccl::Result;

// A library and a device that keep a diary, and whose operations end when the test says so.
struct Recorded {
  std::vector<std::string> diary;
  int polls_until_ready = 0;
  bool is_over = false;
};
Recorded recorded;  // of the test that runs: functions of a library have no other way to it

class RecordedEvent final : public DeviceEvent {
 public:
  bool is_over() const override { return recorded.is_over; }
  void hold_compute() const override { recorded.diary.push_back("compute waits"); }
};

class RecordedStream final : public DeviceStream {
 public:
  void* handle() const override { return &recorded; }
  void follow_compute() override { recorded.diary.push_back("stream waits for compute"); }
  std::unique_ptr<DeviceEvent> mark() override {
    recorded.diary.push_back("mark");
    return std::make_unique<RecordedEvent>();
  }
};

nccl::Functions recorded_functions() {
  nccl::Functions all{};
  all.get_unique_id = [](nccl::UniqueId*) { return Result::kSuccess; };
  all.comm_init_rank_config = [](nccl::Comm** comm, int, nccl::UniqueId, int, nccl::Config*) {
    *comm = reinterpret_cast<nccl::Comm*>(&recorded);
    return Result::kSuccess;
  };
  all.comm_get_async_error = [](nccl::Comm*, Result* state) {
    *state = recorded.polls_until_ready > 0 ? Result::kInProgress : Result::kSuccess;
    if (recorded.polls_until_ready-- == 1) recorded.diary.push_back("ready");
    return Result::kSuccess;
  };
  all.comm_abort = [](nccl::Comm*) {
    recorded.diary.push_back("abort");
    return Result::kSuccess;
  };
  all.all_reduce = [](const void*, void*, size_t, nccl::DataType, nccl::RedOp, nccl::Comm*, void* stream) {
    recorded.diary.push_back(stream == &recorded ? "all_reduce" : "all_reduce on another stream");
    return recorded.polls_until_ready > 0 ? Result::kInProgress : Result::kSuccess;
  };
  return all;
}

class NcclTest : public testing::Test {
 protected:
  NcclTest() { recorded = {}; }

  std::unique_ptr<Communicator> control_ = make_solo_communicator();
  std::optional<Nccl> nccl_{std::in_place, recorded_functions(),
                            NcclOptions{.make_stream = [](c10::Device) { return std::make_unique<RecordedStream>(); }}};
  std::unique_ptr<Communicator> group_ = nccl_->connect(*control_, at::kCPU, "data");
};

using Diary = std::vector<std::string>;

TEST_F(NcclTest, ACollectiveStandsBetweenWhatIsComputedBeforeAndAfterIt) {
  const auto work = group_->all_reduce(at::zeros({3}), ReduceOp::kSum);
  EXPECT_EQ(recorded.diary, (Diary{"stream waits for compute", "all_reduce", "mark"}));
  work->wait();  // returns although nothing is over
  EXPECT_EQ(recorded.diary.back(), "compute waits");
}

TEST_F(NcclTest, TheEndIsMarkedOnceNcclIsReady) {
  recorded.polls_until_ready = 3;
  static_cast<void>(group_->all_reduce(at::zeros({3}), ReduceOp::kSum));
  EXPECT_EQ(recorded.diary, (Diary{"stream waits for compute", "all_reduce", "ready", "mark"}));
}

TEST_F(NcclTest, ATensorLivesUntilItsCollectiveIsOver) {
  const at::Tensor tensor = at::zeros({3});
  static_cast<void>(group_->all_reduce(tensor.view({3}), ReduceOp::kSum));
  EXPECT_GT(tensor.storage().use_count(), 1u);
  EXPECT_FALSE(nccl_->current_call({}).is_over);
  recorded.is_over = true;
  EXPECT_TRUE(nccl_->current_call({}).is_over);
  EXPECT_EQ(tensor.storage().use_count(), 1u);
}

TEST_F(NcclTest, TheOldestInFlightIsWhereTheRankIs) {
  static_cast<void>(group_->all_reduce(at::zeros({3}), ReduceOp::kSum));
  static_cast<void>(group_->all_reduce(at::zeros({3}), ReduceOp::kSum));
  const Call later{.group = "control",
                   .operation = "barrier",
                   .number = 9,
                   .is_over = false,
                   .begun = std::chrono::steady_clock::now()};
  EXPECT_EQ(call_text(nccl_->current_call(later)), "all_reduce 1 of the group data");
  recorded.is_over = true;
  EXPECT_EQ(call_text(nccl_->current_call(later)), "barrier 9 of the group control");
  EXPECT_EQ(call_text(nccl_->current_call({})), "all_reduce 2 of the group data");
}

TEST_F(NcclTest, TheEndAbortsEachGroupOnce) {
  nccl_->abort();
  EXPECT_EQ(recorded.diary, Diary{"abort"});
  nccl_.reset();
  EXPECT_EQ(recorded.diary, Diary{"abort"});
}

TEST_F(NcclTest, AFailureOfTheDeviceIsTold) {
  struct BrokenEvent final : DeviceEvent {
    bool is_over() const override { throw std::runtime_error("an illegal memory access"); }
    void hold_compute() const override {}
  };
  struct BrokenStream final : DeviceStream {
    void* handle() const override { return &recorded; }
    void follow_compute() override {}
    std::unique_ptr<DeviceEvent> mark() override { return std::make_unique<BrokenEvent>(); }
  };
  Nccl broken(recorded_functions(), {.make_stream = [](c10::Device) { return std::make_unique<BrokenStream>(); }});
  const auto group = broken.connect(*control_, at::kCPU, "data");
  static_cast<void>(group->all_reduce(at::zeros({3}), ReduceOp::kSum));
  EXPECT_NE(broken.current_call({}).failure.find("an illegal memory access"), std::string::npos);
}

}  // namespace
}  // namespace acm::comm
