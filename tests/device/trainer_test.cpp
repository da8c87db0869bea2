#include "train/trainer.h"

#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/file.h"
#include "device/test_device.h"
#include "unit/core/scratch.h"
#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

// float64 in another order of additions.
constexpr double kClose = 1e-12;

// Trains a toy on a device, on one rank, to its end or to a stop.
Outcome train(ToyPhase& phase, const TrainerConfig& config, const std::filesystem::path& folder,
              std::stop_token stop = {}) {
  make_folder(folder);
  const auto solo = comm::make_solo_communicator();
  Log log({}, false);
  SilentProgress progress;
  Trainer trainer(phase, config, {*solo, *solo}, folder, {.log = log, .progress = progress});
  return trainer.run(stop, phase.steps());
}

TEST(TrainerOnADevice, ReachesWhatTheCpuReaches) {
  const Scratch scratch;
  ToyPhase there(12, test_device()), here;
  EXPECT_EQ(train(there, {.learning_rate = 0.05}, scratch / "there"), Outcome::kFinished);
  train(here, {.learning_rate = 0.05}, scratch / "here");
  EXPECT_LT(distance(there, here), kClose);
  EXPECT_GT(distance(there, ToyPhase()), 0.05);
}

TEST(TrainerOnADevice, MoreStepsBetweenRowsWaitNoMore) {
  const Scratch scratch;
  const auto waits = [&](int64_t steps) {
    ToyPhase phase(steps, test_device());
    const int64_t before = host_syncs();
    train(phase, {.save_every = 0, .log_every = 100}, scratch / std::to_string(steps));
    return host_syncs() - before;
  };
  EXPECT_EQ(waits(30), waits(4));
  EXPECT_GT(waits(4), 0);
}

// The host looks at the numbers of steps 4, 8 and 12 alone: what follows the bad step must not count.
TEST(TrainerOnADevice, LeavesABadStepOutAsTheCpuDoes) {
  const Scratch scratch;
  const auto broken = [&](at::Device device, int64_t save_every) {
    auto phase = std::make_unique<ToyPhase>(12, device);
    phase->before_loss = [](const data::Slice& slice) { return slice.step == 5 ? NAN : 1.0; };
    const TrainerConfig config{.learning_rate = 0.05, .save_every = save_every, .rollbacks = 1, .log_every = 4};
    const auto folder = scratch / (device.str() + "-" + std::to_string(save_every));
    EXPECT_EQ(train(*phase, config, folder), Outcome::kFinished);
    return phase;
  };
  for (const int64_t save_every : {0, 3}) {  // without a checkpoint to go back to, and with that of step 3
    SCOPED_TRACE(save_every);
    EXPECT_LT(distance(*broken(test_device(), save_every), *broken(at::kCPU, save_every)), kClose);
  }
  ToyPhase whole;
  train(whole, {.learning_rate = 0.05}, scratch / "whole");
  EXPECT_GT(distance(*broken(test_device(), 0), whole), 1e-3);
}

// What is made of parameters and kept (acm/kept_tensors.h) looks at that.
TEST(OptimizerOnADevice, TellsThatParametersHaveChanged) {
  ToyPhase phase(1, test_device());
  Optimizer optimizer(phase.parameter_groups());
  for (const at::Tensor& parameter : {phase.hidden, phase.output}) parameter.mutable_grad() = at::ones_like(parameter);
  const at::Tensor norms = optimizer.gradient_norms();
  const int64_t before = phase.hidden._version();
  optimizer.step(0.1, norms, {});
  EXPECT_GT(phase.hidden._version(), before);
}

TEST(TrainerOnADevice, GoesOnFromItsCheckpoint) {
  const Scratch scratch;
  const TrainerConfig config{.learning_rate = 0.05, .save_every = 0, .log_every = 100};
  std::stop_source stop;
  ToyPhase first(12, test_device()), second(12, test_device()), straight(12, test_device());
  first.before_loss = [&](const data::Slice& slice) {
    if (slice.step == 6) stop.request_stop();
    return 1.0;
  };
  EXPECT_EQ(train(first, config, scratch / "stopped", stop.get_token()), Outcome::kStopped);
  EXPECT_EQ(train(second, config, scratch / "stopped"), Outcome::kFinished);
  train(straight, config, scratch / "straight");
  EXPECT_EQ(distance(second, straight), 0);
}

}  // namespace
}  // namespace acm::train
