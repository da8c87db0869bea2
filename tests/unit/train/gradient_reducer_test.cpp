#include "train/gradient_reducer.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "train/pairwise_sum.h"
#include "unit/core/expect_error.h"
#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

std::vector<at::Tensor> four_parameters() {
  std::vector<at::Tensor> parameters;
  for (uint64_t i = 0; i < 4; ++i) {
    at::Tensor value = normal_tensor(StreamKey(i), {5, static_cast<int64_t>(i) + 1});
    if (i == 1) value = value.to(at::kFloat);
    parameters.push_back(value.set_requires_grad(true));
  }
  return parameters;
}

// Its gradient by parameter i is rank + i + 1 everywhere.
at::Tensor loss_of(const std::vector<at::Tensor>& parameters, int rank) {
  at::Tensor loss;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor part = parameters[i].sum().mul(rank + static_cast<int>(i) + 1).to(at::kDouble);
    loss = loss.defined() ? loss.add(part) : part;
  }
  return loss;
}

void expect_all(const at::Tensor& gradient, double value) {
  EXPECT_EQ(gradient.min().item<double>(), value);
  EXPECT_EQ(gradient.max().item<double>(), value);
}

TEST(GradientReducer, SumsOverMicroBatchesAndRanks) {
  for (const int size : {1, 2, 3}) {
    comm::run_local_group(size, [&](comm::Communicator& group) {
      const std::vector<at::Tensor> parameters = four_parameters();
      GradientReducer reducer(parameters, group, 64);
      EXPECT_EQ(reducer.buckets(), 4u);
      for (int step = 0; step < 2; ++step) {
        reducer.zero();
        loss_of(parameters, group.rank()).backward();
        reducer.arm();
        loss_of(parameters, group.rank()).backward();
        reducer.finish();
        EXPECT_EQ(reducer.launched_during_backward(), 4u);
        const int ranks = size * (size - 1) / 2;
        for (size_t i = 0; i < 4; ++i)
          expect_all(parameters[i].grad(), 2.0 * (ranks + size * (static_cast<int>(i) + 1)));
      }
    });
  }
}

// Eight slices with gradients whose sum depends on the order.
TEST(GradientReducer, TheTreeGivesTheSameBitsOnAnyNumberOfRanks) {
  const auto summed_by = [](int ranks, SumOrder order) {
    at::Tensor sum;
    comm::run_local_group(ranks, [&](comm::Communicator& group) {
      const at::Tensor parameter = normal_tensor(StreamKey(1), {40}).to(at::kFloat).set_requires_grad(true);
      GradientReducer reducer({parameter}, group, GradientReducer::kBucketBytes, order);
      const int own = 8 / ranks;
      for (int step = 0; step < 2; ++step) {
        reducer.zero();
        for (int i = 0; i < own; ++i) {
          const auto factors = normal_tensor(StreamKey(static_cast<uint64_t>(group.rank() * own + i)), {40});
          if (i + 1 == own) reducer.arm();
          parameter.mul(factors.to(at::kFloat)).sum().backward();
          reducer.end_slice();
        }
        reducer.finish();
      }
      if (group.is_root()) sum = parameter.grad().clone();
    });
    return sum;
  };
  const auto alone = summed_by(1, SumOrder::kTree);
  PairwiseSum factors;
  for (uint64_t i = 0; i < 8; ++i) factors.add(normal_tensor(StreamKey(i), {40}).to(at::kFloat));
  EXPECT_TRUE(alone.equal(factors.take()));
  for (const int ranks : {2, 4, 8}) EXPECT_TRUE(summed_by(ranks, SumOrder::kTree).equal(alone)) << ranks;
  EXPECT_FALSE(summed_by(4, SumOrder::kAsTheyCome).equal(alone));
  EXPECT_LT(summed_by(4, SumOrder::kAsTheyCome).sub(alone).abs().max().item<double>(), 1e-5);
}

TEST(GradientReducer, PutsOneTypeInABucket) {
  const auto solo = comm::make_solo_communicator();
  EXPECT_EQ(GradientReducer(four_parameters(), *solo).buckets(), 3u);  // parameters 3 and 2; 1, which is float32; 0
}

TEST(GradientReducer, CountsAParameterWithoutAGradientAsZero) {
  comm::run_local_group(2, [&](comm::Communicator& group) {
    const std::vector<at::Tensor> parameters = four_parameters();
    GradientReducer reducer(parameters, group, 64);
    reducer.zero();
    reducer.arm();
    if (group.rank() == 0) {
      parameters[0].sum().backward();
    } else {
      loss_of(parameters, 0).backward();
    }
    EXPECT_EQ(reducer.launched_during_backward(), group.rank() == 0 ? 0u : 4u);
    reducer.finish();
    expect_all(parameters[0].grad(), 2);
    expect_all(parameters[3].grad(), 4);
  });
}

// Parameters 3 and 2 are a bucket. What backward made stays where it is until the last of a bucket is there.
TEST(GradientReducer, GathersABucketWhenItsLastGradientIsThere) {
  const auto solo = comm::make_solo_communicator();
  for (const SumOrder order : {SumOrder::kAsTheyCome, SumOrder::kTree}) {
    const std::vector<at::Tensor> layers = four_parameters();
    GradientReducer reducer(layers, *solo, GradientReducer::kBucketBytes, order);
    for (int step = 0; step < 2; ++step) {
      reducer.zero();
      const void* made = nullptr;
      std::vector<unsigned> hooks;
      hooks.push_back(layers[3].register_hook([&](const at::Tensor& gradient) {
        EXPECT_FALSE(layers[3].grad().defined());
        made = gradient.const_data_ptr();
      }));
      hooks.push_back(
          layers[2].register_hook([&](const at::Tensor&) { EXPECT_EQ(layers[3].grad().const_data_ptr(), made); }));
      hooks.push_back(layers[1].register_hook([&](const at::Tensor&) {
        EXPECT_NE(layers[3].grad().const_data_ptr(), made);
        EXPECT_TRUE(layers[3].grad().is_alias_of(layers[2].grad()));
      }));
      at::Tensor loss = layers[0].square().sum();
      for (size_t i = 1; i < 4; ++i) loss = loss.add(layers[i].square().sum().to(at::kDouble));
      loss.backward();
      EXPECT_NE(made, nullptr);
      for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(layers[i].grad().equal(layers[i].mul(2))) << i;
      reducer.end_slice();
      reducer.finish();
      for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(layers[i].grad().equal(layers[i].mul(2))) << i;
      for (size_t i = 0; i < 3; ++i) layers[3 - i].remove_hook(hooks[i]);
    }
  }
}

// Parameter 0 gets a gradient in the first slice alone, 1 in the second, 2 in both, 3 in none; another one in the step
// before.
TEST(GradientReducer, AddsSlicesThatReachOtherParameters) {
  for (const SumOrder order : {SumOrder::kAsTheyCome, SumOrder::kTree}) {
    for (const int64_t bucket_bytes : {int64_t{64}, GradientReducer::kBucketBytes}) {
      comm::run_local_group(2, [&](comm::Communicator& group) {
        const std::vector<at::Tensor> parameters = four_parameters();
        GradientReducer reducer(parameters, group, bucket_bytes, order);
        const auto run_step = [&](const std::vector<at::Tensor>& losses) {
          reducer.zero();
          for (const at::Tensor& parameter : parameters) EXPECT_FALSE(parameter.grad().defined());
          for (size_t i = 0; i < losses.size(); ++i) {
            if (i + 1 == losses.size()) reducer.arm();
            losses[i].backward();
            reducer.end_slice();
            for (const at::Tensor& parameter : parameters)
              EXPECT_EQ(parameter.grad().defined(), order == SumOrder::kAsTheyCome);
          }
          reducer.finish();
        };
        run_step({loss_of(parameters, 100)});
        run_step({parameters[0].sum() + parameters[2].sum().mul(3), parameters[1].sum() + parameters[2].sum()});
        const std::vector<double> sums = {2, 2, 8, 0};
        for (size_t i = 0; i < 4; ++i) expect_all(parameters[i].grad(), sums[i]);
      });
    }
  }
}

// As the search for numbers that are not finite does.
TEST(GradientReducer, AddsWhatComesWithoutEndsOfSlices) {
  const auto solo = comm::make_solo_communicator();
  for (const SumOrder order : {SumOrder::kAsTheyCome, SumOrder::kTree}) {
    const std::vector<at::Tensor> parameters = four_parameters();
    GradientReducer reducer(parameters, *solo, GradientReducer::kBucketBytes, order);
    reducer.zero();
    parameters[2].sum().backward();
    parameters[2].sum().backward();
    loss_of(parameters, 0).backward();
    expect_all(parameters[2].grad(), 5);
    expect_all(parameters[3].grad(), 4);
  }
}

TEST(GradientReducer, GathersByIndexWhateverTheStrides) {
  const auto solo = comm::make_solo_communicator();
  const at::Tensor turned = at::ones({3, 4}, at::kDouble).t().set_requires_grad(true);
  const at::Tensor plain = at::ones({5}, at::kDouble).set_requires_grad(true);
  const at::Tensor factors = at::arange(12, at::kDouble).view({4, 3});
  GradientReducer reducer({turned, plain}, *solo);
  for (int step = 0; step < 2; ++step) {
    reducer.zero();
    reducer.arm();
    (turned.mul(factors).sum() + plain.sum()).backward();
    reducer.finish();
    EXPECT_TRUE(turned.grad().equal(factors));
    expect_all(plain.grad(), 1);
  }
}

TEST(GradientReducer, LeavesTheParametersAlone) {
  const auto solo = comm::make_solo_communicator();
  const std::vector<at::Tensor> parameters = four_parameters();
  { GradientReducer reducer(parameters, *solo); }
  EXPECT_FALSE(parameters[0].grad().defined());
  loss_of(parameters, 0).backward();
  expect_all(parameters[2].grad(), 3);
}

// Fails at the given all-reduce.
class FailingCommunicator final : public comm::Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<comm::Work> all_reduce(at::Tensor, comm::ReduceOp) override {
    throw Error(Fault::kResource, "the network is gone");
  }
  void broadcast(at::Tensor, int) override {}
  at::Tensor all_gather(const at::Tensor& tensor) override { return tensor; }
  void barrier() override {}
  std::unique_ptr<comm::Communicator> split(int) override { return nullptr; }
};

TEST(GradientReducer, AFailureLeavesBackwardAsItself) {
  FailingCommunicator group;
  const std::vector<at::Tensor> parameters = four_parameters();
  GradientReducer reducer(parameters, group);
  reducer.zero();
  reducer.arm();
  expect_error(Fault::kResource, "the network is gone", [&] { loss_of(parameters, 0).backward(); });
}

// Notes when each all-reduce is launched and waited for. One rank, whose sums are its own numbers.
class NotingCommunicator final : public comm::Communicator {
 public:
  explicit NotingCommunicator(std::vector<std::string>& notes) : notes_(notes) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<comm::Work> all_reduce(at::Tensor, comm::ReduceOp) override {
    const std::string number = std::to_string(launched_++);
    notes_.push_back("launch " + number);
    return std::make_unique<NotingWork>(notes_, "wait " + number);
  }
  void broadcast(at::Tensor, int) override {}
  at::Tensor all_gather(const at::Tensor& tensor) override { return tensor; }
  void barrier() override {}
  std::unique_ptr<comm::Communicator> split(int) override { return nullptr; }

 private:
  struct NotingWork final : comm::Work {
    NotingWork(std::vector<std::string>& notes, std::string note) : notes(notes), note(std::move(note)) {}
    void wait() override { notes.push_back(note); }
    std::vector<std::string>& notes;
    std::string note;
  };

  std::vector<std::string>& notes_;
  int launched_ = 0;
};

// What lets the network work while backward computes: a bucket goes out as soon as its last gradient is there, before
// the gradients of earlier layers are, and nothing is waited for until backward is over.
TEST(GradientReducer, LaunchesDuringBackwardAndWaitsAfterIt) {
  std::vector<std::string> notes;
  NotingCommunicator group(notes);
  std::vector<at::Tensor> layers;
  for (uint64_t i = 0; i < 4; ++i) {
    layers.push_back(normal_tensor(StreamKey(i), {5, 5}).set_requires_grad(true));
    layers.back().register_hook([&notes, i](const at::Tensor&) { notes.push_back("gradient " + std::to_string(i)); });
  }
  GradientReducer reducer(layers, group, 2 * 25 * 8);  // two layers in a bucket
  reducer.zero();
  at::Tensor values = normal_tensor(StreamKey(9), {3, 5});
  for (const at::Tensor& layer : layers) values = values.matmul(layer).tanh();
  reducer.arm();
  values.sum().backward();
  notes.push_back("backward is over");
  reducer.finish();
  EXPECT_EQ(notes, (std::vector<std::string>{"gradient 3", "gradient 2", "launch 0", "gradient 1", "gradient 0",
                                             "launch 1", "backward is over", "wait 0", "wait 1"}));
}

}  // namespace
}  // namespace acm::train
