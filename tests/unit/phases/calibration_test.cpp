#include "phases/calibration.h"

#include <gtest/gtest.h>

#include "acm/gate_shift.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::phases {
namespace {

class CalibrationTest : public testing::Test {
 protected:
  void SetUp() override {
    save_acm_model(run_, PhaseId::kGating);
    model_ = load_model(file_);
  }
  Calibration calibrate_on(const data::DataSource& split, const std::vector<double>& budgets) {
    return calibrate(model_, "the model", split, evaluator_, budgets, small_.log);
  }
  double share_at(double shift, const data::DataSource& source) {
    GateShift gates(*model_.backbone);
    gates.set(shift);
    const double share = evaluator_(model_, source).learner_share;
    gates.set(0);
    return share;
  }

  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
  const Evaluator evaluator_ = evaluator_of(run_);
  const std::filesystem::path file_ = run_.folder.model(PhaseId::kGating);
  const SmallImages split_{60, 4};
  Model model_;
};

TEST_F(CalibrationTest, FindsTheShiftForEachBudgetAndLeavesTheGates) {
  const double before = share_at(0, split_);
  const auto found = calibrate_on(split_, {0.9, 0.4, 0.6});
  ASSERT_EQ(found.budgets.size(), 3u);
  EXPECT_EQ(found.samples, 60);
  EXPECT_EQ(found.split, digest_of(split_.identity().dump()));
  for (const auto& [budget, shifted] : found.budgets) {
    EXPECT_NEAR(shifted.share, budget, 2e-3);  // 60 samples of 5 tokens are coarse
    EXPECT_EQ(share_at(shifted.shift, split_), shifted.share);
  }
  EXPECT_LT(found.budgets.at(0.4).shift, found.budgets.at(0.6).shift);
  EXPECT_EQ(share_at(0, split_), before);
}

TEST_F(CalibrationTest, AnEvaluationAtABudgetRunsTheShiftedGates) {
  const auto found = calibrate_on(split_, {0.4}).budgets.at(0.4);
  const auto row = evaluate_at(model_, split_, evaluator_, 0.4, found);
  EXPECT_EQ(row.at("learner_share").as_double(), found.share);
  EXPECT_EQ(row.at("calibration_share").as_double(), found.share);
  EXPECT_EQ(row.at("shift").as_double(), found.shift);
  EXPECT_EQ(row.at("budget").as_double(), 0.4);
}

TEST_F(CalibrationTest, IsTheSameForAnyNumberOfRanks) {
  const auto alone = calibrate_on(split_, {0.4, 0.6}).to_json();
  for (const int ranks : {2, 3})
    run_small_group(
        ranks, scratch_.folder(), {}, [](const auto&) {},
        [&](const auto& run) {
          auto mine = load_model(file_);
          EXPECT_EQ(calibrate(mine, "the model", split_, evaluator_of(run), {0.4, 0.6}, run.log).to_json(), alone);
        });
}

TEST_F(CalibrationTest, RefusesABudgetBelowWhatTheSitesMustSpend) {
  // q, k, v, o: 4 x 32 of 4 x 64 + 192 at least.
  expect_error(Fault::kUsage, "cannot meet a budget of 0.1 with the model: q, k, v and o run at least one learner",
               [&] {
                 calibrate_on(split_, {0.5, 0.1});
               });
}

TEST_F(CalibrationTest, ATableGoesIntoTheModelFileAndComesBack) {
  EXPECT_FALSE(stored_calibration(nn::read_description(file_)));
  const auto before = nn::read_model_file(file_);
  const Calibration first{.split = "abc", .samples = 9, .budgets = {{0.5, {-0.25, 0.4999}}}};
  store_calibration(file_, first);
  const auto after = nn::read_model_file(file_);
  auto description = after.description;
  EXPECT_EQ(stored_calibration(description)->to_json(), first.to_json());
  description.as_object().erase("calibration");
  EXPECT_EQ(description, before.description);
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  for (const auto& [name, tensor] : before.tensors) EXPECT_TRUE(after.tensors.at(name).equal(tensor)) << name;
  load_model(file_);

  // The same split: budgets join; another split: they replace.
  store_calibration(file_, {.split = "abc", .samples = 9, .budgets = {{0.5, {-0.5, 0.5}}, {0.7, {1, 0.7}}}});
  auto stored = stored_calibration(nn::read_description(file_));
  ASSERT_EQ(stored->budgets.size(), 2u);
  EXPECT_EQ(stored->budgets.at(0.5).shift, -0.5);
  store_calibration(file_, {.split = "abc", .samples = 9, .budgets = {{0.3, {-1, 0.3}}}});
  EXPECT_EQ(stored_calibration(nn::read_description(file_))->budgets.size(), 3u);
  store_calibration(file_, {.split = "def", .samples = 5, .budgets = {{0.9, {2, 0.9}}}});
  stored = stored_calibration(nn::read_description(file_));
  EXPECT_EQ(stored->budgets.size(), 1u);
  EXPECT_EQ(stored->samples, 5);
}

TEST_F(CalibrationTest, ATableOfAnotherRuleIsNotUnderstood) {
  expect_error(Fault::kData, "its rule must be 'shift * k on the logits of each gate', found \"other\"", [] {
    Calibration::from(Json::object({{"rule", "other"}}));
  });
}

}  // namespace
}  // namespace acm::phases
