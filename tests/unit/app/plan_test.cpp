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
  const auto plan = plan_of(run_, kAll, 1);
  EXPECT_EQ(scratch_.entries(), entries);  // it writes nothing
  for (const std::string& part :
       {"plan for 1 rank(s), run folder " + scratch_.folder().string() + "\n",
        std::string("data: 20 training and 7 test samples, 3 classes\n"),
        std::string("phase 0 pretrain: 5 steps of 7 samples, 1 slices of at most 7\n"),
        std::string("phase 1 distill: 5 steps of 16 tokens, each site by itself\n"),
        std::string("cache: 10 samples of "), std::string(" in 3 segments; "), std::string("captured at once\n"),
        std::string("rank 0: blocks.0.q blocks.0.k "), std::string("balance: the busiest rank has 1.00 times"),
        std::string("phase 2 gating: 3 steps of 16 tokens, 1 slices of at most 16\n")})
    EXPECT_NE(plan.find(part), std::string::npos) << part << "\nis not in\n" << plan;
}

TEST_F(PlanTest, NamesTeamsAndWhoIdles) {
  small_.settings.acm.sites = {"blocks.0.ffn", "blocks.1.ffn"};
  small_.settings.distill.slices = 2;
  auto plan = plan_of(run_, {PhaseId::kDistill}, 5);
  for (const std::string part :
       {"plan for 5 rank(s)", "    ranks 0 to 1: blocks.0.ffn\n    ranks 2 to 3: blocks.1.ffn\n",
        "    rank 4: no site, 5 ranks make 2 team(s) of 2, and a team is a power of two of ranks\n",
        "balance: the busiest rank has 1.25 times the mean load\n"})
    EXPECT_NE(plan.find(part), std::string::npos) << part << "\nis not in\n" << plan;
  plan = plan_of(run_, {PhaseId::kDistill}, 8);
  EXPECT_NE(plan.find("    ranks 4 to 5: no site, there are fewer than teams\n"), std::string::npos) << plan;
  EXPECT_NE(plan.find("    distill.slices = 2 lets at most as many ranks share a site\n"), std::string::npos) << plan;
}

TEST_F(PlanTest, NamesWindows) {
  small_.settings.cache.segment_samples = small_.settings.cache.micro_batch = 1;
  small_.settings.cache.shuffle_segments = 1;
  small_.settings.cache.max_bytes = 100'000;
  const auto plan = plan_of(run_, {PhaseId::kDistill}, 1);
  EXPECT_NE(plan.find(" groups of 1 samples, "), std::string::npos) << plan;
  EXPECT_NE(plan.find(" of each window\n"), std::string::npos) << plan;
  small_.settings.cache.max_bytes = 1000;
  expect_error(Fault::kUsage, "cache.max_bytes = 1000 holds less than two groups",
               [&] { plan_of(run_, {PhaseId::kDistill}, 1); });
}

TEST_F(PlanTest, AFinishedPhaseIsNamed) {
  phases::save_dense_model(run_);
  const auto plan = plan_of(run_, {PhaseId::kPretrain}, 1);
  EXPECT_NE(plan.find("phase 0 pretrain: finished, " + run_.folder.model(PhaseId::kPretrain).string() + " stands\n"),
            std::string::npos)
      << plan;
}

TEST_F(PlanTest, SharesSitesAmongRanksAndCutsBatches) {
  comm::run_local_group(2, [&](comm::Communicator& group) {
    SmallRun small(scratch_.folder(), group, [](phases::Settings& s) { s.pretrain.micro_batches = 2; });
    const auto plan = plan_of(small.run(group), kAll, 2);
    EXPECT_NE(plan.find("rank 1: "), std::string::npos) << plan;
    EXPECT_NE(plan.find(", 4 slices of at most 2\n"), std::string::npos) << plan;
  });
}

}  // namespace
}  // namespace acm::app
