#include "phases/evaluate.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "acm/cost.h"
#include "data/loader.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

// By hand, for a sample: patches 4 x 16 x 8, attention 2 blocks x 2 x 5^2 x 8, head 8 x 3.
constexpr double kStatic = 512 + 800 + 24;
// A token at the sites of both blocks: four projections 8 x 8 and an FFN 2 x 8 x 12.
constexpr double kDense = kStatic + 5 * 2 * (4 * 64 + 192);
// A token at one learner of a projection (2 units) and of an FFN (6 units), and at gates of 3 units over 2 or 3 counts.
constexpr double kProjectionLearner = 2 * 8 * 2, kFfnLearner = 2 * 8 * 6;
constexpr double kGates = 4 * 3 * (8 + 2) + 3 * (8 + 3);

class EvaluateTest : public testing::Test {
 protected:
  Model model(PhaseId phase) {
    phase == PhaseId::kPretrain ? save_dense_model(run_) : save_acm_model(run_, phase);
    return load_model(run_.folder.model(phase));
  }
  Evaluation evaluate_alone(Model& model, std::optional<int64_t> choice = std::nullopt) {
    return in_threes(run_)(model, run_.test_data, choice);
  }

  static Evaluator in_threes(const phases::Run& run) {
    auto evaluator = evaluator_of(run);
    evaluator.micro_batch = 3;
    return evaluator;
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
};

// Makes every sample look like class 1; 2 of the 7 test samples (0 1 2 0 1 2 0) are.
void always_say_one(Model& model) {
  at::NoGradGuard no_grad;
  for (auto& parameter : model.backbone->named_parameters())
    if (parameter.key().starts_with("head.")) parameter.value().zero_();
  model.backbone->named_parameters()["head.bias"][1] = 1;
}

// Makes every gate choose its class `number`, of 0-based counts from min_k.
void always_choose(Model& model, int64_t number) {
  at::NoGradGuard no_grad;
  for (const auto& site : acm_sites(*model.backbone)) {
    for (auto& parameter : site.layer->gate()->parameters()) parameter.zero_();
    site.layer->gate()->named_parameters()["1.bias"][number] = 1;
  }
}

TEST_F(EvaluateTest, CountsADenseModelByHand) {
  auto dense = model(PhaseId::kPretrain);
  always_say_one(dense);
  const auto found = evaluate_alone(dense);
  EXPECT_EQ(found.samples, 7);
  ASSERT_EQ(found.figures.size(), 2u);
  EXPECT_EQ(found.figures[0], (std::pair<std::string, double>{"top1", 2.0 / 7}));
  EXPECT_EQ(found.figures[1], (std::pair<std::string, double>{"top5", 1.0}));
  EXPECT_EQ(found.mean_macs, kDense);
  EXPECT_EQ(found.dense_macs, kDense);
  EXPECT_EQ(found.learner_share, 1);
  EXPECT_TRUE(found.mean_learners.empty());
  for (const int64_t macs : found.macs_percentiles) EXPECT_EQ(macs, kDense);
  EXPECT_GT(found.samples_per_second, 0);
  EXPECT_GE(found.data_wait, 0);
  EXPECT_LT(found.data_wait, 1);
}

TEST_F(EvaluateTest, CountsFixedLearnersByHand) {
  auto learners = model(PhaseId::kDistill);
  for (const int64_t k : {1, 2}) {
    const auto found = evaluate_alone(learners, k);
    EXPECT_EQ(found.choice, k);
    EXPECT_EQ(found.mean_macs, kStatic + 5 * 2 * static_cast<double>(k) * (4 * kProjectionLearner + kFfnLearner));
    EXPECT_EQ(found.dense_macs, kDense);
    EXPECT_EQ(found.learner_share, static_cast<double>(k) / 2);
    ASSERT_EQ(found.mean_learners.size(), 10u);
    EXPECT_EQ(found.mean_learners[4], (std::pair<std::string, double>{"blocks.0.ffn", static_cast<double>(k)}));
  }
}

TEST_F(EvaluateTest, CountsGatedLearnersByHand) {
  auto gated = model(PhaseId::kGating);
  always_choose(gated, 0);  // 1 learner at projections, none at FFNs
  const auto found = evaluate_alone(gated);
  EXPECT_EQ(found.mean_macs, kStatic + 5 * 2 * (4 * kProjectionLearner + kGates));
  EXPECT_DOUBLE_EQ(found.learner_share, 4 * kProjectionLearner / (2 * (4 * kProjectionLearner + kFfnLearner)));
  EXPECT_EQ(found.mean_learners[0].second, 1);
  EXPECT_EQ(found.mean_learners[4].second, 0);
  // With a fixed choice no gate runs.
  EXPECT_EQ(evaluate_alone(gated, 1).mean_macs, kStatic + 5 * 2 * (4 * kProjectionLearner + kFfnLearner));
}

// Each percentile is the cost of one of the seven samples: the smallest that so many of them do not exceed.
TEST_F(EvaluateTest, PercentilesAreCostsOfSamples) {
  auto gated = model(PhaseId::kGating);
  std::vector<int64_t> costs;
  for (int64_t i = 0; i < run_.test_data.size(); ++i) {
    const data::Batch batch = data::load_positions(
        run_.test_data, data::Schedule(run_.test_data.size(), 1, StreamKey(), false), StreamKey(), {i});
    nn::Recorder recorder(gated.backbone->sites().size(), nn::Recorder::Keep::kChoices);
    nn::TokenContext context;
    context.recorder = &recorder;
    gated.backbone->forward(batch, context);
    const auto cost = cost_model(*gated.backbone);
    int64_t macs = kStatic + 5 * 2 * kGates;
    for (size_t s = 0; s < cost.sites.size(); ++s)
      macs += cost.learner_costs[s] * recorder.at(cost.sites[s]).choice.sum().item<int64_t>();
    costs.push_back(macs);
  }
  std::ranges::sort(costs);
  ASSERT_NE(costs.front(), costs.back());
  const auto found = evaluate_alone(gated);
  EXPECT_EQ(found.macs_percentiles, (std::array<int64_t, 5>{costs[0], costs[1], costs[3], costs[5], costs[6]}));
  EXPECT_DOUBLE_EQ(found.mean_macs, std::accumulate(costs.begin(), costs.end(), 0.0) / 7);
}

TEST_F(EvaluateTest, OnlyTheChosenLearnersRun) {
  auto gated = model(PhaseId::kGating);
  always_choose(gated, 1);  // 2 learners at projections, 1 at FFNs
  const auto gates = evaluate_alone(gated).to_json();
  const auto fixed = evaluate_alone(gated, 1).to_json();
  at::NoGradGuard no_grad;
  const auto spoil = [](AcmLayer& layer) {
    layer.w1.narrow(1, layer.shape().learner_width, layer.shape().learner_width).fill_(NAN);
    layer.w2.narrow(0, layer.shape().learner_width, layer.shape().learner_width).fill_(NAN);
  };
  const auto sites = acm_sites(*gated.backbone);
  for (const auto& site : sites)
    if (site.site->kind == nn::SiteKind::kFeedForward) spoil(*site.layer);
  EXPECT_EQ(evaluate_alone(gated).to_json(), gates);
  for (const auto& site : sites) spoil(*site.layer);
  EXPECT_EQ(evaluate_alone(gated, 1).to_json(), fixed);
  EXPECT_EQ(evaluate_alone(gated, 2).figures[0].second, 0);  // what is not a number is never a hit
}

TEST_F(EvaluateTest, IsTheSameForAnyNumberOfRanks) {
  auto gated = model(PhaseId::kGating);
  const auto alone = evaluate_alone(gated).to_json();
  for (const int ranks : {2, 3, 5}) {  // three micro-batches: the ranks 3 and 4 have none
    run_small_group(
        ranks, scratch_.folder(), {}, [](const auto&) {},
        [&](const auto& run) {
          auto mine = load_model(run.folder.model(PhaseId::kGating));
          EXPECT_EQ(in_threes(run)(mine, run.test_data).to_json(), alone) << ranks;
        });
  }
  EXPECT_EQ(evaluator_of(run_)(gated, run_.test_data).to_json(), alone);  // 100 at once
}

TEST_F(EvaluateTest, WritesNamedFigures) {
  const Evaluation evaluation{.choice = 2,
                              .samples = 4,
                              .figures = {{"top1", 0.5}},
                              .mean_macs = 3e9,
                              .dense_macs = 4e9,
                              .macs_percentiles = {1, 2, 3, 4, 5},
                              .learner_share = 0.25,
                              .mean_learners = {{"blocks.0.q", 1.5}}};
  EXPECT_EQ(
      evaluation.to_json().dump(),
      R"({"choice":2,"dense_gmac":4.0,"gmac":3.0,"learner_share":0.25,"mac_percentiles":{"p05":1,"p25":2,"p50":3,"p75":4,)"
      R"("p95":5},"mean_learners":{"blocks.0.q":1.5},"replaced_samples":0,"samples":4,"share_of_dense":0.75,"top1":0.5})");
  EXPECT_TRUE(Evaluation().to_json().at("choice").is_null());
}

TEST_F(EvaluateTest, AnEvaluationIsKeptAsLongAsItsModel) {
  model(PhaseId::kGating);
  const auto first = evaluate_phase(run_, PhaseId::kGating);
  EXPECT_EQ(first.at("evaluations").as_array().size(), 1u);
  EXPECT_EQ(Json::parse(read_file(scratch_ / "eval-phase2.json"), ""), first);
  const int64_t gets = small_.test_data.gets;
  EXPECT_EQ(evaluate_phase(run_, PhaseId::kGating), first);
  EXPECT_EQ(small_.test_data.gets, gets);

  small_.settings.seed = 8;
  model(PhaseId::kGating);
  EXPECT_NE(evaluate_phase(run_, PhaseId::kGating).at("model"), first.at("model"));
  EXPECT_GT(small_.test_data.gets, gets);
}

TEST_F(EvaluateTest, Phase3IsEvaluatedAsItIsAndShiftedToTheBudget) {
  const SmallImages split(60, 4);
  auto with_split = small_.run(*solo_);
  with_split.calibration_data = &split;
  model(PhaseId::kFinetune);
  const auto list = evaluate_phase(with_split, PhaseId::kFinetune).at("evaluations").as_array();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].find("shift"), nullptr);
  EXPECT_EQ(list[1].at("budget"), Json(0.5));
  EXPECT_NEAR(list[1].at("calibration_share").as_double(), 0.5, 2e-3);

  // Nothing to calibrate on, or a budget out of reach: plain argmax alone.
  std::filesystem::remove(scratch_ / "eval.json");
  EXPECT_EQ(evaluate_phase(run_, PhaseId::kFinetune).at("evaluations").as_array().size(), 1u);
  std::filesystem::remove(scratch_ / "eval.json");
  small_.settings.acm.budget = 0.01;
  EXPECT_EQ(evaluate_phase(with_split, PhaseId::kFinetune).at("evaluations").as_array().size(), 1u);
}

TEST_F(EvaluateTest, Phase1IsEvaluatedForEachCountAndPhase0AsTheTeacher) {
  model(PhaseId::kDistill);
  model(PhaseId::kPretrain);
  const auto content = evaluate_phase(run_, PhaseId::kDistill);
  ASSERT_EQ(content.at("evaluations").as_array().size(), 2u);
  EXPECT_EQ(content.at("evaluations").as_array()[1].at("choice"), Json(2));
  const auto dense = evaluate_phase(run_, PhaseId::kPretrain);
  EXPECT_EQ(dense.at("evaluations").as_array()[0].at("share_of_dense"), Json(1.0));
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "eval-phase0.json"));
}

}  // namespace
}  // namespace acm::phases
