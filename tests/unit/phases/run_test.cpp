#include "phases/run.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

class RunTest : public testing::Test {
 protected:
  // Begins `phase` under the small settings, and compares it with one under changed settings; gives the error, if any.
  std::string compare(PhaseId phase, const SmallRun::Adjust& adjust) {
    SmallRun before(scratch_.folder(), *solo_), after(scratch_.folder(), *solo_, adjust);
    const auto begun = before.run(*solo_), again = after.run(*solo_);
    check_identity(begun, phase);
    make_folder(begun.folder.checkpoints(phase) / "step-00000001");
    try {
      check_identity(again, phase);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kUsage);
      return error.what();
    }
  }
  void expect_listed(const std::string& message, const std::string& line) {
    EXPECT_NE(message.find("\n  " + line + "\n"), std::string::npos) << message;
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
};

TEST_F(RunTest, PhasesStartFromTheOneBeforeUnlessToldOtherwise) {
  Settings settings;
  const RunFolder folder("run");
  EXPECT_EQ(input_model(settings, folder, PhaseId::kPretrain), "");
  EXPECT_EQ(input_model(settings, folder, PhaseId::kDistill), folder.model(PhaseId::kPretrain));
  EXPECT_EQ(input_model(settings, folder, PhaseId::kGating), folder.model(PhaseId::kDistill));
  EXPECT_EQ(input_model(settings, folder, PhaseId::kFinetune), folder.model(PhaseId::kGating));
  settings.backbone.weights = "vit.safetensors";
  EXPECT_EQ(teacher_model(settings, folder), "vit.safetensors");
  settings.distill.model = "other.safetensors";
  EXPECT_EQ(teacher_model(settings, folder), "other.safetensors");
  settings.finetune.model = "third.safetensors";
  EXPECT_EQ(input_model(settings, folder, PhaseId::kFinetune), "third.safetensors");
}

TEST_F(RunTest, EachPhaseHasItsOwnSection) {
  Settings settings;
  EXPECT_EQ(&training_of(settings, PhaseId::kPretrain), &settings.pretrain);
  EXPECT_EQ(&training_of(settings, PhaseId::kDistill), &settings.distill);
  EXPECT_EQ(&training_of(settings, PhaseId::kGating), &settings.gating);
  EXPECT_EQ(&training_of(settings, PhaseId::kFinetune), &settings.finetune);
}

TEST_F(RunTest, TheSameSettingsAreTheSamePhase) { EXPECT_EQ(compare(PhaseId::kPretrain, {}), ""); }

TEST_F(RunTest, EveryDifferenceIsListed) {
  const auto message =
      compare(PhaseId::kPretrain, [](Settings& s) { s.seed = 4, s.pretrain.steps = 9, s.backbone.width = 16; });
  expect_listed(message, "config.seed: 4 here, 3 there");
  expect_listed(message, "config.pretrain.steps: 9 here, 5 there");
  expect_listed(message, "config.backbone.width: 16 here, 8 there");
  EXPECT_NE(message.find("phase 0 in " + scratch_.folder().string() + " was begun with other settings"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find((scratch_ / "phase0").string()), std::string::npos) << message;
}

TEST_F(RunTest, HowAPhaseIsCarriedOutMayChange) {
  EXPECT_EQ(compare(PhaseId::kPretrain,
                    [](Settings& s) {
                      s.threads = 3, s.pretrain.micro_batches = 2, s.pretrain.save_every = 1, s.pretrain.log_every = 7;
                    }),
            "");
}

TEST_F(RunTest, WhatAPhaseDoesNotReadMayChange) {
  SmallRun small(scratch_.folder(), *solo_);
  save_dense_model(small.run(*solo_));
  EXPECT_EQ(
      compare(PhaseId::kDistill, [](Settings& s) { s.acm.budget = 0.25, s.finetune.steps = 1, s.gate.hidden = 9; }),
      "");
  EXPECT_NE(compare(PhaseId::kDistill, [](Settings& s) { s.acm.learners = 3; }), "");
  EXPECT_NE(compare(PhaseId::kDistill, [](Settings& s) { s.cache.samples = 9; }), "");
}

TEST_F(RunTest, TheBudgetBelongsToPhase3AndToAllocation) {
  SmallRun small(scratch_.folder(), *solo_);
  save_acm_model(small.run(*solo_), PhaseId::kDistill);
  save_acm_model(small.run(*solo_), PhaseId::kGating);
  expect_listed(compare(PhaseId::kGating, [](Settings& s) { s.acm.budget = 0.25; }),
                "config.acm.budget: 0.25 here, 0.5 there");
  expect_listed(compare(PhaseId::kFinetune, [](Settings& s) { s.acm.budget = 0.25; }),
                "config.acm.budget: 0.25 here, 0.5 there");
}

TEST_F(RunTest, AnotherInputModelIsADifference) {
  SmallRun small(scratch_.folder(), *solo_),
      other(scratch_.folder(), *solo_, [](Settings&s) { s.backbone.hidden = 16; });
  save_dense_model(small.run(*solo_));
  EXPECT_EQ(compare(PhaseId::kDistill, {}), "");
  save_dense_model(other.run(*solo_));
  expect_error(Fault::kUsage, "\n  input: \"", [&] { check_identity(small.run(*solo_), PhaseId::kDistill); });
}

TEST_F(RunTest, AStartThatLeftNothingIsForgotten) {
  SmallRun first(scratch_.folder(), *solo_), second(scratch_.folder(), *solo_, [](Settings&s) { s.seed = 4; });
  check_identity(first.run(*solo_), PhaseId::kPretrain);
  EXPECT_NO_THROW(check_identity(second.run(*solo_), PhaseId::kPretrain));
  save_dense_model(second.run(*solo_));
  expect_error(Fault::kUsage, "config.seed: 3 here, 4 there",
               [&] { check_identity(first.run(*solo_), PhaseId::kPretrain); });
}

TEST_F(RunTest, StepsReachTheBeat) {
  SmallRun small(scratch_.folder(), *solo_);
  outlets(small.run(*solo_), small.progress, nullptr).on_step(17);
  EXPECT_EQ(small.beat.all()[0]->step, 17);
}

}  // namespace
}  // namespace acm::phases
