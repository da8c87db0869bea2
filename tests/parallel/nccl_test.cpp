#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdlib>

#ifdef ACM_WITH_CUDA
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include "comm/call_check.h"
#include "comm/nccl/nccl.h"
#include "comm/nccl/nccl_library.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "parallel/world.h"
#include "train/gradient_reducer.h"
#include "unit/core/expect_error.h"

void keep_busy(double seconds, void* stream);  // keep_busy.cu

namespace acm::comm {
namespace {

using parallel_test::world;

// With ACM_TEST_GPU set, all of this runs over the system's NCCL on GPUs, which ranks of a host share where there are
// fewer than ranks; otherwise over the mock on tensors of the host.
bool is_on_gpu() { return std::getenv("ACM_TEST_GPU") != nullptr; }

c10::Device device() {
  if (!is_on_gpu()) return at::kCPU;
  const int index = world().place().local_rank % at::detail::getCUDAHooks().getNumGPUs();
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

// An environment variable for as long as this lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;

 private:
  const char* name_;
};

class NcclTest : public testing::Test {
 protected:
  ~NcclTest() override { mpi_.control.barrier(); }  // nobody aborts what another still needs

  at::Tensor on_device(const at::Tensor& tensor) { return tensor.to(device(), false, true); }
  // What `act` makes of a tensor over NCCL is what it makes of the same tensor over MPI.
  void expect_as_over_mpi(const at::Tensor& mine,
                          const std::function<at::Tensor(Communicator&, const at::Tensor&)>& act) {
    const at::Tensor expected = act(mpi_.data, mine.clone());
    const at::Tensor found = act(*group_, on_device(mine));
    EXPECT_EQ(found.device(), device());
    EXPECT_EQ(found.scalar_type(), expected.scalar_type());
    EXPECT_TRUE(found.cpu().equal(expected)) << found << expected;
  }

  const Groups mpi_ = world().connect(at::kCPU, false);
  const int rank_ = world().place().rank, size_ = world().place().size;
  Nccl nccl_{open_nccl(is_on_gpu() ? "libnccl.so.2" : ACM_MOCK_NCCL)};
  std::unique_ptr<Communicator> group_ = nccl_.connect(mpi_.control, device(), "data");
};

at::Tensor reduced(Communicator& group, const at::Tensor& tensor, ReduceOp op) {
  group.all_reduce(tensor, op)->wait();
  return tensor;
}

TEST_F(NcclTest, EveryOperationAndDtypeGivesWhatMpiGives) {
  EXPECT_EQ(group_->rank(), rank_);
  EXPECT_EQ(group_->size(), size_);
  for (const auto dtype : {at::kFloat, at::kDouble, at::kLong, at::kInt, at::kByte}) {
    const at::Tensor mine = at::arange(12, dtype).mul(rank_ + 1).remainder(7).view({3, 4});
    for (const auto op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax})
      expect_as_over_mpi(mine, [&](auto& group, const auto& tensor) { return reduced(group, tensor, op); });
    expect_as_over_mpi(mine, [](auto& group, const auto& tensor) { return group.all_gather(tensor); });
    expect_as_over_mpi(mine, [&](auto& group, const auto& tensor) {
      group.broadcast(tensor, size_ - 1);
      return tensor;
    });
  }
  expect_as_over_mpi(at::zeros({0, 3}), [](auto& group, const auto& tensor) { return group.all_gather(tensor); });
  group_->barrier();
}

TEST_F(NcclTest, ManyInFlightAreWaitedForInAnyOrder) {
  std::vector<at::Tensor> tensors;
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 20; ++i) {
    tensors.push_back(on_device(at::full({i * 1000 + 1}, rank_ + i, at::kDouble)));
    works.push_back(group_->all_reduce(tensors.back(), ReduceOp::kSum));
  }
  for (int i = 19; i >= 0; --i) {
    works[i]->wait();
    works[i]->wait();  // again is allowed
    EXPECT_TRUE(tensors[i].eq(size_ * (size_ - 1) / 2 + i * size_).all().item<bool>()) << i;
  }
}

TEST_F(NcclTest, ACallRunsAfterTheOnesBeforeItDroppedOrNot) {
  const at::Tensor tensor = on_device(at::full({300'000}, 1, at::kDouble));
  static_cast<void>(group_->all_reduce(tensor, ReduceOp::kSum));
  static_cast<void>(group_->all_reduce(on_device(at::zeros({1000})), ReduceOp::kSum));  // nobody else holds this one
  group_->all_reduce(tensor, ReduceOp::kSum)->wait();
  EXPECT_TRUE(tensor.eq(size_ * size_).all().item<bool>());
}

TEST_F(NcclTest, SplitsIntoGroupsThatMeetByThemselves) {
  const auto part = group_->split(rank_ % 2);
  EXPECT_EQ(part->rank(), rank_ / 2);
  EXPECT_EQ(part->size(), (size_ + 1 - rank_ % 2) / 2);
  const auto sum = [&](Communicator& group) {
    return reduced(group, on_device(at::full({1}, 1, at::kLong)), ReduceOp::kSum).item<int64_t>();
  };
  for (int i = 0; i <= 10 * (rank_ % 2); ++i) EXPECT_EQ(sum(*part), part->size());  // at their own pace
  const auto alone = part->split(rank_);
  EXPECT_EQ(sum(*alone), 1);
  EXPECT_EQ(sum(*group_), size_);
}

TEST_F(NcclTest, TheCheckedGroupNamesTheRankThatDiffersAndSplits) {
  const auto check = std::make_shared<CallCheck>(mpi_.control, std::vector<std::string>{"data"});
  const auto checked = make_checked_communicator(*group_, check, 0);
  if (size_ > 1) {
    expect_error(Fault::kInternal,
                 "rank " + std::to_string(size_ - 1) + " called all_reduce by sum of Float [3] on data",
                 [&] { reduced(*checked, on_device(at::zeros({rank_ == size_ - 1 ? 3 : 2})), ReduceOp::kSum); });
  }
  const auto part = checked->split(rank_ % 2);
  const at::Tensor one = on_device(at::full({1}, 1, at::kLong));
  EXPECT_EQ(reduced(*part, one, ReduceOp::kSum).item<int64_t>(), part->size());
}

TEST_F(NcclTest, TheGradientReducerGivesTheSumsOfMpi) {
  const auto gradients = [&](Communicator& group, c10::Device where) {
    std::vector<at::Tensor> parameters;
    for (int i = 0; i < 6; ++i)
      parameters.push_back(at::full({40 + i, 30}, i, at::kFloat).to(where).set_requires_grad(true));
    train::GradientReducer reducer(parameters, group, 12000);  // two parameters to a bucket
    std::vector<at::Tensor> found;
    for (int step = 1; step <= 2; ++step) {
      reducer.zero();
      for (int slice = 1; slice <= step; ++slice) {
        if (slice == step) reducer.arm();
        at::Tensor loss = parameters[0].sum();
        for (int i = 1; i < 6; ++i) loss = loss.add(parameters[i].sum().mul(step * (rank_ + 1) * (i + 1)));
        loss.backward();
        reducer.end_slice();
      }
      EXPECT_GT(reducer.launched_during_backward(), 0u);
      reducer.finish();
      for (const auto& parameter : parameters) found.push_back(parameter.grad().cpu().clone());
    }
    return found;
  };
  const auto expected = gradients(mpi_.data, at::kCPU), found = gradients(*group_, device());
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(expected[i])) << i;
}

TEST_F(NcclTest, TellsTheCollectiveItIsIn) {
  group_->barrier();
  const Call call = nccl_.current_call(world().current_call());
  EXPECT_EQ(call_text(call), "barrier 1 of the group data");
  EXPECT_TRUE(call.is_over);
  EXPECT_EQ(call.failure, "");
}

TEST_F(NcclTest, RefusesWhatItCannotCarry) {
  const auto refuses = [&](const at::Tensor& tensor) { EXPECT_THROW(group_->all_gather(tensor), c10::Error); };
  refuses(on_device(at::zeros({2, 3})).t());
  refuses(on_device(at::zeros({2}, at::kHalf)));
  refuses(at::zeros({2}, at::TensorOptions().device(at::kMeta)));
  EXPECT_THROW(group_->broadcast(on_device(at::zeros({2})), size_), c10::Error);
}

// Of the mock alone.
class MockNcclTest : public NcclTest {
 protected:
  void SetUp() override {
    if (is_on_gpu()) GTEST_SKIP() << "needs the mock";
  }
};

TEST_F(MockNcclTest, AGroupThatDoesNotFormIsToldOnEveryRankInTime) {
  const Variable hang("MOCK_NCCL_HANG_JOIN", "1");
  Nccl impatient(open_nccl(ACM_MOCK_NCCL), {.join_seconds = 0.2});
  expect_error(Fault::kResource,
               "NCCL's group data has not formed: rank 0 of " + std::to_string(size_) + " has waited 0.2 s",
               [&] { impatient.connect(mpi_.control, device(), "data"); });
}

TEST_F(MockNcclTest, AFailureIsThrownAndTold) {
  const Variable fail("MOCK_NCCL_FAIL_AT", "2");
  group_->barrier();
  const auto work = group_->all_reduce(on_device(at::zeros({3})), ReduceOp::kSum);
  const auto why = "NCCL reports 'remote process exited or there was a network error'";
  EXPECT_NE(nccl_.current_call({}).failure.find(why), std::string::npos) << nccl_.current_call({}).failure;
  const auto message = expect_error(Fault::kResource, why, [&] { work->wait(); });
  EXPECT_EQ(message.find("all_reduce 2 of the group data failed "), 0u) << message;
}

TEST_F(MockNcclTest, AnOldLibraryIsRefused) {
  const Variable old("MOCK_NCCL_VERSION", "21304");
  expect_error(Fault::kResource, "is version 2.13.4, which cannot watch over its collectives; install NCCL 2.14",
               [] { open_nccl(ACM_MOCK_NCCL); });
}

#ifdef ACM_WITH_CUDA
TEST_F(NcclTest, TheHostDoesNotWaitForTheDeviceAndTheOrderHolds) {
  if (!is_on_gpu()) GTEST_SKIP() << "no GPU (ACM_TEST_GPU is not set)";
  const at::Tensor tensor = on_device(at::zeros({100'000}));
  // Once before: connections are opened and kernels loaded, which the host does wait for.
  group_->all_gather(tensor.add_(0)).mul(2);
  group_->barrier();
  keep_busy(1, c10::cuda::getCurrentCUDAStream(device().index()).stream());
  tensor.add_(1);
  const Stopwatch since;
  const at::Tensor all = group_->all_gather(tensor);
  const at::Tensor twice = all.mul(2);
  EXPECT_LT(since.seconds(), 0.5);
  EXPECT_FALSE(nccl_.current_call({}).is_over);
  EXPECT_TRUE(twice.eq(2).all().item<bool>());  // waits
  EXPECT_TRUE(nccl_.current_call({}).is_over);
}

TEST(World, ConnectsOverNcclOnAGpuOrSaysWhyNot) {
  if (!is_on_gpu()) {
    if (c10::cuda::device_count() > 0) GTEST_SKIP() << "there is a GPU";
    const auto index = static_cast<c10::DeviceIndex>(world().place().local_rank);
    expect_error(Fault::kResource, "cannot train on cuda:0: CUDA says '", [&] {
      world().connect({c10::kCUDA, index}, false);
    });
    return;
  }
  const Groups groups = world().connect(device(), true);
  const at::Tensor one = at::full({1}, 1, at::TensorOptions().dtype(at::kLong).device(device()));
  EXPECT_EQ(reduced(groups.data, one, ReduceOp::kSum).item<int64_t>(), world().place().size);
  EXPECT_EQ(world().current_call().failure, "");
}
#else
TEST(World, SaysThatItWasBuiltWithoutCuda) {
  expect_error(Fault::kUsage,
               "cannot train on cuda:0: this program was built without CUDA; build it with the preset cuda",
               [] { world().connect(c10::Device(c10::kCUDA, 0), false); });
}
#endif

}  // namespace
}  // namespace acm::comm
