#include "phases/finetune.h"

#include <gtest/gtest.h>

#include "data/loader.h"
#include "phases/frozen_teacher.h"
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

TEST(Finetune, InBfloat16TheLossIsNearAndParametersStayFloat32) {
  const Scratch scratch;
  const auto model_of = [&](const std::string& name, const char* autocast) {
    return finetuned_by(1, 1, scratch / name, [&](Settings& s) {
      s.precision = "float32";
      s.finetune.autocast = autocast;
      s.finetune.teacher_weight = 0;
    });
  };
  const auto exact = model_of("exact", "none"), narrow = model_of("narrow", "bfloat16");
  const auto loss = [&](const std::string& name) { return last_row(scratch / name).at("task").as_double(); };
  EXPECT_NE(loss("narrow"), loss("exact"));
  EXPECT_NEAR(loss("narrow"), loss("exact"), 0.05 * loss("exact"));
  for (const auto& [name, value] : nn::read_model_file(narrow).tensors)
    EXPECT_EQ(value.scalar_type(), at::kFloat) << name;
}

// Without the terms and without the task nothing tells the gates anything.
TEST(Finetune, TheTaskReachesTheGatesOnlyWhereItIsLetTo) {
  const Scratch scratch;
  const auto moved_gates = [&](const std::string& name, bool let) {
    const auto path = finetuned_by(1, 1, scratch / name, [&](Settings& s) {
      s.finetune.gate_task_gradient = let;
      s.finetune.calibrated_start = false;  // it moves the gates itself
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

// With a learning rate of next to nothing the first row shows what the gates sample at the start.
TEST(Finetune, StartsFromGatesThatSpendTheBudget) {
  const Scratch scratch;
  const auto first_share = [&](const std::string& name, bool calibrated, double budget, int ranks) {
    finetuned_by(ranks, 1, scratch / name, [&](Settings& s) {
      s.finetune.calibrated_start = calibrated;
      s.finetune.learning_rate = 1e-9;
      s.finetune.batch = 32;
      s.acm.budget = budget;
    });
    return last_row(scratch / name).at("share").as_double();
  };
  const double plain = first_share("plain", false, 0.3, 1);
  EXPECT_GT(std::abs(plain - 0.3), 0.05);
  for (const double budget : {0.3, 0.8})
    EXPECT_NEAR(first_share("to" + std::to_string(budget), true, budget, 1), budget, 0.02);
  EXPECT_EQ(first_share("by two", true, 0.3, 2), first_share("by one", true, 0.3, 1));
}

TEST(Finetune, LearnsFromTheTeacherAsMuchAsItIsTold) {
  const Scratch scratch;
  const auto row_with = [&](const std::string& name, double weight, int ranks, int64_t micro_batches) {
    run_small_group(
        ranks, scratch / name,
        [&](Settings& s) {
          s.finetune.teacher_weight = weight;
          s.finetune.micro_batches = micro_batches;
        },
        [](const auto& run) {
          save_dense_model(run);
          save_input(run);
        },
        [](const auto& run) { EXPECT_EQ(run_finetune(run), train::Outcome::kFinished); });
    return last_row(scratch / name);
  };
  const auto half = row_with("half", 0.25, 1, 1);
  EXPECT_GT(half.at("teacher_loss").as_double(), 0);
  EXPECT_NEAR(half.at("task").as_double(),
              0.75 * half.at("label_loss").as_double() + 0.25 * half.at("teacher_loss").as_double(), 1e-12);
  const auto all = row_with("all", 1, 1, 1);
  EXPECT_NEAR(all.at("task").as_double(), all.at("teacher_loss").as_double(), 1e-12);
  EXPECT_LT(all.at("teacher_loss").as_double(), half.at("teacher_loss").as_double());
  row_with("cut", 0.25, 2, 2);
  EXPECT_LT(model_distance(RunFolder(scratch / "cut").model(PhaseId::kFinetune),
                           RunFolder(scratch / "half").model(PhaseId::kFinetune)),
            1e-10);
  EXPECT_EQ(row_with("none", 0, 1, 1).find("teacher_loss"), nullptr);
}

TEST(FrozenTeacher, DivergesByNothingFromItself) {
  const Scratch scratch;
  const auto solo = comm::make_solo_communicator();
  SmallRun small(scratch.folder(), *solo);
  const auto run = small.run(*solo);
  save_dense_model(run);
  const auto batch = data::load_positions(run.train_data, data::Schedule(20, 4, StreamKey()), StreamKey(), {0, 1, 2});
  nn::TokenContext context;
  const auto logits = load_model(run.folder.model(PhaseId::kPretrain)).backbone->forward(batch, context);
  FrozenTeacher teacher(run);
  EXPECT_LT(teacher.divergence(logits, batch).abs().max().item<double>(), 1e-12);
  // By hand: p log(p / q) of three classes.
  const auto other = logits * 0.5;
  const auto p = logits.softmax(-1), q = other.softmax(-1);
  EXPECT_LT((teacher.divergence(other, batch) - (p * (p / q).log()).sum(-1)).abs().max().item<double>(), 1e-12);
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
