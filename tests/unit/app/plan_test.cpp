#include "app/plan.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::app {
namespace {

using phases::kAllPhases;
using phases::PhaseId;
using phases::SmallRun;

const std::vector<PhaseId> kAll(kAllPhases.begin(), kAllPhases.end());

TEST(WantedPhases, AreOneOrAll) {
  phases::Settings settings;
  EXPECT_EQ(wanted_phases("2", settings), std::vector<PhaseId>{PhaseId::kGating});
  EXPECT_EQ(wanted_phases("all", settings), kAll);
}

TEST(WantedPhases, AllLeavesOutWhatPretrainedWeightsMakeNeedless) {
  const std::vector<PhaseId> from_1(kAll.begin() + 1, kAll.end());
  phases::Settings weights, model;
  weights.backbone.weights = "vit.safetensors";
  model.distill.model = "vit.safetensors";
  EXPECT_EQ(wanted_phases("all", weights), from_1);
  EXPECT_EQ(wanted_phases("all", model), from_1);
  EXPECT_EQ(wanted_phases("0", weights), std::vector<PhaseId>{PhaseId::kPretrain});
}

class PlanTest : public testing::Test {
 protected:
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

TEST_F(PlanTest, InputsMayBeMadeOnTheWay) {
  EXPECT_NO_THROW(check_inputs(run_, kAll, "a.toml"));
  EXPECT_NO_THROW(check_inputs(run_, {PhaseId::kPretrain}, "a.toml"));
  phases::save_acm_model(run_, PhaseId::kDistill);
  EXPECT_NO_THROW(check_inputs(run_, {PhaseId::kGating, PhaseId::kFinetune}, "a.toml"));
}

TEST_F(PlanTest, AMissingInputNamesTheCommandThatMakesIt) {
  expect_error(Fault::kUsage,
               "phase 3 starts from " + run_.folder.model(PhaseId::kGating).string() +
                   ", which is not there: make it with: acm_dist --phase 2 --config a.toml",
               [&] { check_inputs(run_, {PhaseId::kFinetune}, "a.toml"); });
  expect_error(Fault::kUsage, "acm_dist --phase 0 --config a.toml, or name pretrained weights with backbone.weights",
               [&] { check_inputs(run_, {PhaseId::kDistill}, "a.toml"); });
  small_.settings.backbone.weights = "/none/vit.safetensors";
  expect_error(Fault::kUsage, "phase 1 starts from /none/vit.safetensors, which is not there: check the path", [&] {
    check_inputs(run_, {PhaseId::kDistill, PhaseId::kGating}, "a.toml");
  });
}

TEST_F(PlanTest, TellsStepsSlicesSitesAndTheCache) {
  small_.settings.gating.steps = 0;
  const auto entries = scratch_.entries();
  const auto plan = plan_of(run_, kAll);
  EXPECT_EQ(scratch_.entries(), entries);  // it writes nothing
  for (const std::string& part :
       {"plan for 1 rank(s), run folder " + scratch_.folder().string() + "\n",
        std::string("data: 20 training and 7 test samples, 3 classes\n"),
        std::string("phase 0 pretrain: 5 steps of 7 samples, 1 slices of at most 7\n"),
        std::string("phase 1 distill: 5 steps of 16 tokens, each site by itself\n"),
        std::string("cache: 10 samples in 3 segments, 0 MB of "), std::string("rank 0: blocks.0.q blocks.0.k "),
        std::string("phase 2 gating: steps as the cached tokens give of 16 tokens")})
    EXPECT_NE(plan.find(part), std::string::npos) << part << "\nis not in\n" << plan;
}

TEST_F(PlanTest, AFinishedPhaseIsNamed) {
  phases::save_dense_model(run_);
  const auto plan = plan_of(run_, {PhaseId::kPretrain});
  EXPECT_NE(plan.find("phase 0 pretrain: finished, " + run_.folder.model(PhaseId::kPretrain).string() + " stands\n"),
            std::string::npos)
      << plan;
}

TEST_F(PlanTest, SharesSitesAmongRanksAndCutsBatches) {
  comm::run_local_group(2, [&](comm::Communicator& group) {
    SmallRun small(scratch_.folder(), group, [](phases::Settings& s) { s.pretrain.micro_batches = 2; });
    const auto plan = plan_of(small.run(group), kAll);
    EXPECT_NE(plan.find("rank 1: "), std::string::npos) << plan;
    EXPECT_NE(plan.find(", 4 slices of at most 2\n"), std::string::npos) << plan;
  });
}

}  // namespace
}  // namespace acm::app
