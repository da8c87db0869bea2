#include <gtest/gtest.h>

#include <limits>

#include "parallel/shared_scratch.h"
#include "parallel/world.h"
#include "train/trainer.h"
#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

using parallel_test::SharedScratch;

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

Outcome train(ToyPhase& phase, comm::Groups groups, const std::filesystem::path& folder, int64_t micro_batches,
              int64_t until_step = kAll) {
  Log log({}, false);
  SilentProgress progress;
  const TrainerConfig config{.micro_batches = micro_batches, .learning_rate = 0.05, .save_every = 5};
  return Trainer(phase, config, groups, folder, {.log = log, .progress = progress}).run({}, until_step);
}

TEST(Reducer, SumsOverRanksWhileBackwardRuns) {
  comm::Communicator& group = parallel_test::groups().data;
  const int rank = group.rank(), size = group.size();
  std::vector<at::Tensor> parameters;
  for (uint64_t i = 0; i < 6; ++i) {
    const at::Tensor value = normal_tensor(StreamKey(i), {40 + static_cast<int64_t>(i), 30});
    parameters.push_back(value.to(at::kFloat).set_requires_grad(true));
  }
  GradientReducer reducer(parameters, group, 12000);  // two parameters to a bucket
  EXPECT_EQ(reducer.buckets(), 3u);
  for (int step = 0; step < 3; ++step) {
    const int slices = step + 1;
    reducer.zero();
    for (int slice = 0; slice < slices; ++slice) {
      if (slice + 1 == slices) reducer.arm();
      at::Tensor loss = parameters[0].sum().mul(rank + 1);
      for (size_t i = 1; i < parameters.size(); ++i) {
        loss = loss.add(parameters[i].sum().mul((rank + 1) * static_cast<int>(i + 1)));
      }
      loss.backward();
      reducer.end_slice();
    }
    EXPECT_GT(reducer.launched_during_backward(), 0u);
    reducer.finish();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const double expected = static_cast<double>(i + 1) * slices * size * (size + 1) / 2;
      EXPECT_EQ(parameters[i].grad().min().item<double>(), expected);
      EXPECT_EQ(parameters[i].grad().max().item<double>(), expected);
    }
  }
}

TEST(Trainer, LearnsOnRanksWhatOneRankLearns) {
  const comm::Groups groups = parallel_test::groups();
  const SharedScratch scratch(groups.control);
  const auto solo = comm::make_solo_communicator();
  ToyPhase alone, together;
  train(alone, {.data = *solo, .control = *solo}, scratch / ("alone" + std::to_string(groups.control.rank())), 4);
  EXPECT_EQ(train(together, groups, scratch / "together", 4 / groups.control.size()), Outcome::kFinished);
  EXPECT_LT(distance(alone, together), 1e-12);
  EXPECT_GT(distance(alone, ToyPhase()), 0.1);
}

// Four slices in a tree: the same bits and the same rows of metrics on 1, 2 and 4 ranks.
TEST(Trainer, TheTreeGivesTheBytesOfOneRank) {
  const comm::Groups groups = parallel_test::groups();
  const SharedScratch scratch(groups.control);
  const auto solo = comm::make_solo_communicator();
  const auto train_tree = [&](ToyPhase& phase, comm::Groups on, const std::filesystem::path& folder) {
    Log log({}, false);
    SilentProgress progress;
    const TrainerConfig config{
        .micro_batches = 4 / on.control.size(), .order = SumOrder::kTree, .learning_rate = 0.05, .save_every = 5};
    return Trainer(phase, config, on, folder, {.log = log, .progress = progress}).run({}, kAll);
  };
  ToyPhase alone, together;
  train_tree(alone, {*solo, *solo}, scratch / ("alone" + std::to_string(groups.control.rank())));
  EXPECT_EQ(train_tree(together, groups, scratch / "together"), Outcome::kFinished);
  EXPECT_EQ(distance(alone, together), 0);
}

TEST(Trainer, ResumesACheckpointOfAllRanks) {
  const comm::Groups groups = parallel_test::groups();
  const SharedScratch scratch(groups.control);
  const int64_t micro_batches = 4 / groups.control.size();
  ToyPhase straight, first, second;
  train(straight, groups, scratch / "straight", micro_batches);
  train(first, groups, scratch / "paused", micro_batches, 7);
  train(second, groups, scratch / "paused", micro_batches);
  EXPECT_EQ(distance(straight, second), 0);
  EXPECT_GT(distance(first, second), 0);
}

}  // namespace
}  // namespace acm::train
