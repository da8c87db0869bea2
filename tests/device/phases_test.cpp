#include <gtest/gtest.h>

#include "data/device_copy.h"
#include "device/device_group.h"
#include "phases/distill.h"
#include "phases/evaluate.h"
#include "phases/finetune.h"
#include "phases/gating.h"
#include "phases/machine_rates.h"
#include "phases/pretrain.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

const std::vector<PhaseId> kAll = {PhaseId::kPretrain, PhaseId::kDistill, PhaseId::kGating, PhaseId::kFinetune};

train::Outcome run_phase(const Run& run, PhaseId phase) {
  switch (phase) {
    case PhaseId::kPretrain:
      return run_pretrain(run);
    case PhaseId::kDistill:
      return run_distill(run);
    case PhaseId::kGating:
      return run_gating(run);
    default:
      return run_finetune(run);
  }
}

// All phases one after another in a folder, on one rank; `after` hears of each. Gives the waits of the host in each.
std::map<PhaseId, int64_t> run_all(const std::filesystem::path& folder, at::Device device,
                                   const SmallRun::Adjust& adjust, const std::function<void(PhaseId)>& after = {}) {
  make_folder(folder);
  const auto solo = comm::make_solo_communicator();
  SmallRun small(folder, *solo, adjust);
  Run run = small.run(*solo);
  run.device = device;
  run.fetching.copies = data::copy_stream(device);
  std::map<PhaseId, int64_t> waits;
  for (const PhaseId phase : kAll) {
    const int64_t before = host_syncs();
    EXPECT_EQ(run_phase(run, phase), train::Outcome::kFinished);
    waits[phase] = host_syncs() - before;
    evaluate_phase(run, phase);
    if (after) after(phase);
  }
  return waits;
}

TEST(MachineRatesOnADevice, AreThoseOfTheDevice) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  auto machine = machine_named("h100");
  measure(machine, *solo, test_device(), 32, 64, scratch.folder());
  for (const Figure& figure : {machine.bfloat16_flops, machine.tf32_flops, machine.float32_flops, machine.float64_flops,
                               machine.memory_bandwidth}) {
    EXPECT_GT(figure.value, 0);
    EXPECT_TRUE(figure.origin.starts_with("measured here")) << figure.origin;
  }
  EXPECT_EQ(machine.host_bandwidth.origin, machine_named("h100").host_bandwidth.origin);  // that of GPUs
}

TEST(PhasesOnADevice, ReachTheModelsOfTheCpu) {
  const Scratch scratch;
  for (const std::string rule : {"allocation", "marginal"}) {
    SCOPED_TRACE(rule);
    // Learners cut from the teacher that miss it by rounding alone have gradients of that size, which Adam enlarges.
    const bool exact_start = rule == "allocation";
    const auto adjust = [&](Settings& s) {
      s.gating.rule = rule;
      s.acm.init = exact_start ? "teacher" : "random";
      s.finetune.teacher_weight = 0.5;
      s.finetune.micro_batches = 2;
      s.cache.tokens_per_sample = 3;
    };
    const RunFolder here(scratch / rule / "here"), there(scratch / rule / "there");
    run_all(here.root(), at::kCPU, adjust);
    const auto compare = [&](PhaseId phase) {
      EXPECT_LT(model_distance(there.model(phase), here.model(phase)),
                phase == PhaseId::kDistill && exact_start ? 1e-7 : 1e-8)
          << name_of(phase);
      const auto row = [&](const RunFolder& folder) {
        return Json::parse(read_file(folder.evaluation(phase)), "").at("evaluations").dump();
      };
      EXPECT_EQ(row(there), row(here)) << name_of(phase);
      // Each phase from the same numbers: where learners start, eigenvectors multiply differences of the last bit.
      std::filesystem::copy_file(here.model(phase), there.model(phase),
                                 std::filesystem::copy_options::overwrite_existing);
    };
    run_all(there.root(), test_device(), adjust, compare);
  }
}

// All phases on a rank of a group whose gradients and statistics meet on the device, and decisions on the host.
void run_all_together(const std::filesystem::path& folder, comm::Communicator& group, const SmallRun::Adjust& adjust) {
  SmallRun small(folder, group, adjust);
  DeviceGroup data(group);
  const Run host = small.run(group);
  Run run{host.settings, host.fields, host.folder,     {data, group},  host.log, host.progress,
          host.beat,     host.stop,   host.train_data, host.test_data, host.task};
  run.device = test_device();
  run.fetching.copies = data::copy_stream(test_device());
  for (const PhaseId phase : kAll) EXPECT_EQ(run_phase(run, phase), train::Outcome::kFinished);
}

TEST(PhasesOnADevice, ReachTheSameModelsOnTwoRanks) {
  const Scratch scratch;
  const auto adjust = [](Settings& s) { s.acm.init = "random"; };
  const RunFolder alone(scratch / "alone"), together(scratch / "together");
  run_all(alone.root(), test_device(), adjust);
  make_folder(together.root());
  comm::run_local_group(2, [&](comm::Communicator& group) { run_all_together(together.root(), group, adjust); });
  for (const PhaseId phase : kAll)
    EXPECT_LT(model_distance(together.model(phase), alone.model(phase)), 1e-8) << name_of(phase);
}

TEST(PhasesOnADevice, MoreStepsBetweenRowsWaitNoMore) {
  const Scratch scratch;
  const auto waits = [&](int64_t steps) {
    return run_all(scratch / std::to_string(steps), test_device(), [&](Settings& s) {
      for (TrainingConfig* phase :
           std::initializer_list<TrainingConfig*>{&s.pretrain, &s.distill, &s.gating, &s.finetune}) {
        phase->steps = steps;
        phase->log_every = 100;
      }
      s.precision = "float32";
      s.finetune.teacher_weight = 0.5;
      s.gating.rule = "marginal";  // the two searches for a budget take as many passes as they do
      s.finetune.calibrated_start = false;
    });
  };
  const auto few = waits(3), more = waits(9);
  for (const PhaseId phase : kAll) {
    EXPECT_EQ(more.at(phase), few.at(phase)) << name_of(phase);
    EXPECT_GT(few.at(phase), 0) << name_of(phase);
  }
}

}  // namespace
}  // namespace acm::phases
