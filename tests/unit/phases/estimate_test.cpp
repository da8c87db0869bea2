#include "phases/estimate.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <set>

#include "acm/cost.h"
#include "phases/distill.h"
#include "phases/finetune.h"
#include "phases/gating.h"
#include "train/checkpoint_files.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

struct Traffic {
  int64_t reduced = 0, gathered = 0;  // bytes that this rank gave to all-reduces, and got from all-gathers
};

// Counts what goes through a communicator and the groups that were split off it.
class Counting final : public comm::Communicator {
 public:
  Counting(comm::Communicator& inner, Traffic& traffic) : inner_(inner), traffic_(traffic) {}
  Counting(std::unique_ptr<comm::Communicator> inner, Traffic& traffic)
      : owned_(std::move(inner)), inner_(*owned_), traffic_(traffic) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::unique_ptr<comm::Work> all_reduce(at::Tensor tensor, comm::ReduceOp op) override {
    traffic_.reduced += static_cast<int64_t>(tensor.nbytes());
    return inner_.all_reduce(std::move(tensor), op);
  }
  void broadcast(at::Tensor tensor, int root) override { inner_.broadcast(std::move(tensor), root); }
  at::Tensor all_gather(const at::Tensor& tensor) override {
    auto all = inner_.all_gather(tensor);
    traffic_.gathered += static_cast<int64_t>(all.nbytes());
    return all;
  }
  void barrier() override { inner_.barrier(); }
  std::unique_ptr<comm::Communicator> split(int colour) override {
    return std::make_unique<Counting>(inner_.split(colour), traffic_);
  }

 private:
  std::unique_ptr<comm::Communicator> owned_;
  comm::Communicator& inner_;
  Traffic& traffic_;
};

// The same run, whose gradients and statistics are counted.
Run with_data_group(const Run& run, comm::Communicator& data) {
  return {run.settings,   run.fields,    run.folder, {data, run.groups.control},
          run.log,        run.progress,  run.beat,   run.stop,
          run.train_data, run.test_data, run.task};
}

int64_t bytes_of_checkpoints(const std::filesystem::path& folder) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().filename() != "manifest.json") continue;
    for (const auto& [name, tensor] : train::read_step(entry.path().parent_path()).tensors)
      bytes += static_cast<int64_t>(tensor.nbytes());
  }
  return bytes;
}

int64_t bytes_of_segments(const std::filesystem::path& folder) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".h5") bytes += static_cast<int64_t>(std::filesystem::file_size(entry));
  return bytes;
}

// Every phase is run as it is, and each of its bytes that the estimate tells beforehand is found again.
void expect_true_bytes(const Run& run, const Traffic& traffic) {
  const RunEstimate model(run, machine_named("cpu"));
  const auto check = [&](PhaseId phase, train::Outcome (*train)(const Run&)) {
    const auto e = model.of(phase, run.ranks());
    ASSERT_EQ(e.refused, "");
    const Traffic before = traffic;
    EXPECT_EQ(train(run), train::Outcome::kFinished);
    const int64_t reduced = traffic.reduced - before.reduced, gathered = traffic.gathered - before.gathered;
    if (phase == PhaseId::kDistill) {
      EXPECT_EQ(reduced, 0);
      const int64_t most = comm::all_reduce_number(run.groups.control, gathered, comm::ReduceOp::kMax);
      EXPECT_EQ(most, e.team_ranks == 1 ? 0 : e.steps * e.team_ranks * e.gradient_bytes);
    } else {
      EXPECT_EQ(reduced, e.steps * e.gradient_bytes) << name_of(phase);
      EXPECT_EQ(gathered, e.steps * e.gather_bytes) << name_of(phase);
    }
    run.groups.control.barrier();
    EXPECT_EQ(bytes_of_checkpoints(run.folder.checkpoints(phase)), e.checkpoint_bytes) << name_of(phase);
    if (phase == PhaseId::kDistill || phase == PhaseId::kGating) {
      EXPECT_EQ(bytes_of_segments(cache_folder(run)), e.cache_bytes);
    }
    EXPECT_EQ(e.written_bytes, phase == PhaseId::kDistill ? e.cache_bytes : 0);
  };
  check(PhaseId::kPretrain, run_pretrain);
  check(PhaseId::kDistill, run_distill);
  check(PhaseId::kGating, run_gating);
  check(PhaseId::kFinetune, run_finetune);
}

class EstimateBytes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, EstimateBytes, testing::Values(1, 2, 4));

TEST_P(EstimateBytes, AreThoseOfARealRun) {
  const Scratch scratch;
  comm::run_local_group(GetParam(), [&](comm::Communicator& group) {
    SmallRun small(scratch.folder(), group, [](Settings& s) {
      s.cache.samples = 12;  // whole segments
      s.distill.slices = 4;
      s.acm.sites = {"ffn", "q", "blocks.1.o"};  // so few that four ranks make teams
      s.gate.hidden = 0;
      s.finetune.calibrated_start = false;  // it gathers more, before the first step
      for (TrainingConfig* phase :
           std::initializer_list<TrainingConfig*>{&s.pretrain, &s.distill, &s.gating, &s.finetune})
        phase->save_every = 4;  // once
    });
    Traffic traffic;
    Counting counted(group, traffic);
    expect_true_bytes(with_data_group(small.run(group), counted), traffic);
  });
}

class EstimateTest : public testing::Test {
 protected:
  Estimate of(PhaseId phase, int ranks) { return RunEstimate(run_, machine_named("cpu")).of(phase, ranks); }
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

// Width 8: two learners of 6 hidden units for an FFN of 12, and of 2 for a projection, in each of two blocks.
TEST_F(EstimateTest, CountsWhatEachPhaseMultiplies) {
  const int64_t learners = 2 * (2 * 2 * 8 * 6 + 4 * 2 * 2 * 8 * 2);  // a token at all sites
  EXPECT_EQ(of(PhaseId::kDistill, 1).macs, 16 * learners * 5 / 2);
  // Gates of three hidden units, which choose among three counts at an FFN and two elsewhere: the first layer has the
  // gradient of its weights alone, the second both.
  const int64_t first = 2 * 5 * 8 * 3, second = 2 * 3 * (3 + 4 * 2);
  EXPECT_EQ(of(PhaseId::kGating, 1).macs, 16 * (learners + 2 * first + 3 * second));
  // Five tokens: patches of 4 x 4, the head, attention, and 12 x 8 x 2 + 4 x 8 x 8 a token and block.
  const int64_t dense = 4 * 16 * 8 + 8 * 3 + 2 * 2 * 25 * 8 + 2 * 5 * (2 * 8 * 12 + 4 * 8 * 8);
  EXPECT_EQ(of(PhaseId::kPretrain, 1).macs, 3 * 7 * dense);
  EXPECT_EQ(of(PhaseId::kPretrain, 2).macs, 3 * 4 * dense);  // seven samples on two ranks
}

// What a model is counted with before it is converted, and what the converted one is.
TEST_F(EstimateTest, CountsTheConvertedModel) {
  small_.settings.acm.sites = {"ffn", "blocks.1.q"};
  small_.settings.gate.hidden = 0;
  const auto model = new_backbone(run_);
  const auto sizes = RunEstimate(run_, machine_named("cpu")).sizes();
  convert_sites(*model, run_.settings.surgery(), StreamKey(1));
  add_gates(*model, {.hidden = 4}, StreamKey(1));
  int64_t numbers = 0;
  for (const auto& parameter : model->parameters()) numbers += parameter.numel();
  EXPECT_EQ(sizes.acm.numbers, numbers);
  const auto tokens = at::full({1}, 5, at::kLong), every = at::full({1, 3}, 2 * 5, at::kLong);
  EXPECT_EQ(sizes.acm.macs, sample_macs(cost_model(*model), every, tokens, model->static_macs(tokens)).item<int64_t>());
}

TEST_F(EstimateTest, WhatIsFrozenRunsForwardAloneAndIsNeitherSummedNorSaved) {
  auto shape = dense_shape(run_);
  shape.frozen_numbers = 40;
  shape.frozen_macs = 500;
  const RunEstimate all(run_, machine_named("cpu")), part(run_, machine_named("cpu"), shape);
  for (const auto phase : {PhaseId::kPretrain, PhaseId::kFinetune}) {
    const auto whole = all.of(phase, 2), trained = part.of(phase, 2);
    EXPECT_EQ(trained.macs, whole.macs - 4 * 2 * 500);  // four samples
    EXPECT_EQ(trained.gradient_bytes, whole.gradient_bytes - 40 * 8);
    EXPECT_EQ(trained.checkpoint_bytes, whole.checkpoint_bytes - 3 * 40 * 8);
    EXPECT_EQ(trained.memory_bytes, whole.memory_bytes - 3 * 40 * 8);
  }
}

TEST_F(EstimateTest, TheTeacherAndSeveralMicroBatchesCostPhase3More) {
  const auto plain = of(PhaseId::kFinetune, 1).macs, dense = of(PhaseId::kPretrain, 1).macs / 3;
  small_.settings.finetune.teacher_weight = 0.5;
  EXPECT_EQ(of(PhaseId::kFinetune, 1).macs, plain + dense);
  small_.settings.finetune.micro_batches = 2;
  EXPECT_EQ(of(PhaseId::kFinetune, 1).macs, plain + plain / 3 + dense);
}

TEST_F(EstimateTest, MoreRanksThanABatchHasSamplesAreRefusedAndPhase1IsNot) {
  const auto e = of(PhaseId::kPretrain, 8);
  EXPECT_NE(e.refused.find("cannot cut pretrain.batch = 7 into 8 slices"), std::string::npos) << e.refused;
  EXPECT_EQ(e.total_seconds(), 0);
  EXPECT_EQ(of(PhaseId::kDistill, 8).refused, "");
}

TEST_F(EstimateTest, WindowsAreWrittenAgainInEachEpochAndHoldTheLimit) {
  small_.settings.cache.segment_samples = 2;
  small_.settings.cache.shuffle_segments = 1;
  small_.settings.distill.steps = 3 * 50 / 16;  // three epochs of ten samples of five tokens
  const auto whole = of(PhaseId::kDistill, 1);
  small_.settings.cache.max_bytes = whole.cache_bytes / 2;
  const auto windows = of(PhaseId::kDistill, 1);
  EXPECT_LE(windows.cache_bytes, small_.settings.cache.max_bytes);
  EXPECT_EQ(windows.written_bytes, 3 * whole.written_bytes);
  EXPECT_EQ(5 * of(PhaseId::kGating, 1).written_bytes, 8 * whole.written_bytes);  // 80 rows: eight groups of ten
  EXPECT_EQ(windows.read_bytes, whole.read_bytes);
}

// Ranks share what they read, and the memory that its rows take.
TEST_F(EstimateTest, MoreRanksReadNoMore) {
  small_.settings.distill.slices = 4;
  ASSERT_EQ(of(PhaseId::kDistill, 40).team_ranks, 4);
  for (const auto phase : {PhaseId::kDistill, PhaseId::kGating}) {
    const auto one = of(phase, 1), many = of(phase, 16);
    EXPECT_GT(one.read_bytes, 0);
    EXPECT_EQ(many.read_bytes, one.read_bytes);
  }
  EXPECT_LT(of(PhaseId::kGating, 4).memory_bytes, of(PhaseId::kGating, 1).memory_bytes);
}

TEST_F(EstimateTest, TimesFollowTheMachine) {
  auto machine = machine_named("cpu");
  const auto slow = RunEstimate(run_, machine).of(PhaseId::kPretrain, 2);
  machine.float64_flops.value *= 2;
  machine.memory_bandwidth.value *= 2;
  const auto fast = RunEstimate(run_, machine).of(PhaseId::kPretrain, 2);
  EXPECT_DOUBLE_EQ(fast.compute_seconds, slow.compute_seconds / 2);
  EXPECT_EQ(fast.exchange_seconds, slow.exchange_seconds);
}

// A device that multiplies at 100, 10 and 1 FLOP/s, and whose memory costs nothing.
TEST_F(EstimateTest, ProductsTakeTheNumbersOfTheSettings) {
  small_.settings.precision = "float32";
  auto machine = machine_named("cpu");
  machine.memory_bandwidth.value = 1e30;
  machine.bfloat16_flops.value = 100;
  machine.tf32_flops.value = 10;
  machine.float32_flops.value = 1;
  const auto seconds = [&](PhaseId phase) { return RunEstimate(run_, machine).of(phase, 1).compute_seconds; };
  for (const auto phase : {PhaseId::kPretrain, PhaseId::kDistill, PhaseId::kGating, PhaseId::kFinetune}) {
    const bool by_autocast = phase == PhaseId::kPretrain || phase == PhaseId::kFinetune;
    small_.settings.tf32 = false;
    small_.settings.pretrain.autocast = small_.settings.finetune.autocast = "none";
    const double in_float32 = seconds(phase);
    small_.settings.tf32 = true;
    EXPECT_NEAR(seconds(phase) / in_float32, 0.1, 1e-6) << name_of(phase);
    small_.settings.pretrain.autocast = small_.settings.finetune.autocast = "bfloat16";
    EXPECT_NEAR(seconds(phase) / in_float32, by_autocast ? 0.01 : 0.1, 1e-6) << name_of(phase);
  }
}

}  // namespace
}  // namespace acm::phases
