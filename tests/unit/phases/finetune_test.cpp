#include "phases/finetune.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

void save_input(const Run& run) { save_acm_model(run, PhaseId::kGating); }

std::filesystem::path finetuned_by(int ranks, int64_t micro_batches, const std::filesystem::path& folder,
                                   const SmallRun::Adjust& adjust = {}) {
  const auto with_micro_batches = [&](Settings& s) {
    s.finetune.micro_batches = micro_batches;
    if (adjust) adjust(s);
  };
  run_small_group(ranks, folder, with_micro_batches, save_input,
                  [](const auto& run) { EXPECT_EQ(run_finetune(run), train::Outcome::kFinished); });
  return RunFolder(folder).model(PhaseId::kFinetune);
}

Json last_row(const std::filesystem::path& folder) {
  const auto text = read_file(folder / "metrics.jsonl");
  return Json::parse(text.substr(text.rfind('\n', text.size() - 2) + 1), "metrics.jsonl");
}

TEST(Finetune, ReachesTheSameModelForAnyCut) {
  const Scratch scratch;
  const auto alone = finetuned_by(1, 1, scratch / "1");
  EXPECT_LT(model_distance(finetuned_by(1, 3, scratch / "1x3"), alone), 1e-10);
  EXPECT_LT(model_distance(finetuned_by(2, 1, scratch / "2"), alone), 1e-10);
  EXPECT_LT(model_distance(finetuned_by(3, 2, scratch / "3x2"), alone), 1e-10);
  EXPECT_GT(model_distance(alone, RunFolder(scratch / "1").model(PhaseId::kGating)), 1e-3);
}

TEST(Finetune, ReportsTheTermsOfTheWholeBatch) {
  const Scratch scratch;
  finetuned_by(1, 1, scratch / "1");
  finetuned_by(3, 2, scratch / "3x2");
  const auto alone = last_row(scratch / "1"), together = last_row(scratch / "3x2");
  for (const char* name : {"task", "loss", "budget", "entropy", "diversity", "share"})
    EXPECT_NEAR(alone.at(name).as_double(), together.at(name).as_double(), 1e-10) << name;
  EXPECT_NEAR(alone.at("loss").as_double(),
              alone.at("task").as_double() + 0.1 * alone.at("budget").as_double() +
                  0.05 * alone.at("entropy").as_double() + 0.05 * alone.at("diversity").as_double(),
              1e-12);
}

// Without the terms and without the task nothing tells the gates anything.
TEST(Finetune, TheTaskReachesTheGatesOnlyWhereItIsLetTo) {
  const Scratch scratch;
  const auto moved_gates = [&](const std::string& name, bool let) {
    const auto path = finetuned_by(1, 1, scratch / name, [&](Settings& s) {
      s.finetune.gate_task_gradient = let;
      s.finetune.budget_weight = s.finetune.entropy_weight = s.finetune.diversity_weight = 0;
    });
    const auto before = nn::read_model_file(RunFolder(scratch / name).model(PhaseId::kGating)).tensors;
    int64_t moved = 0;
    for (const auto& [parameter, value] : nn::read_model_file(path).tensors)
      moved += parameter.find(".gate.") != std::string::npos && !value.equal(before.at(parameter));
    return moved;
  };
  EXPECT_GT(moved_gates("let", true), 30);
  EXPECT_EQ(moved_gates("not let", false), 0);
}

TEST(Finetune, RefusesAModelWithoutGates) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto run = small.run(*solo);
  save_acm_model(run, PhaseId::kDistill);
  small.settings.finetune.model = run.folder.model(PhaseId::kDistill).string();
  expect_error(Fault::kUsage, "its sites have no gates; run phase 2 on it first", [&] { run_finetune(run); });
}

TEST(Finetune, GoesOnWhereItStopped) {
  const Scratch scratch;
  const auto straight = finetuned_by(2, 1, scratch / "straight");
  // Stopped after its first step: the request stands already when the step is over.
  make_folder(scratch / "stopped");
  comm::run_local_group(2, [&](comm::Communicator& group) {
    SmallRun small(scratch / "stopped", group);
    const auto run = small.run(group);
    if (run.is_root()) save_input(run);
    group.barrier();
    small.stop.request_stop();
    EXPECT_EQ(run_finetune(run), train::Outcome::kStopped);
  });
  EXPECT_LT(model_distance(finetuned_by(3, 1, scratch / "stopped"), straight), 1e-10);
}

}  // namespace
}  // namespace acm::phases
