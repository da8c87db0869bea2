#include "app/estimate_table.h"

#include <gtest/gtest.h>

#include "unit/core/scratch.h"
#include "unit/phases/small_run.h"

namespace acm::app {
namespace {

using phases::PhaseId;

TEST(SecondsText, IsShort) {
  EXPECT_EQ(seconds_text(0), "-");
  EXPECT_EQ(seconds_text(0.000123), "0.123 ms");
  EXPECT_EQ(seconds_text(0.0123), "0.0123 s");
  EXPECT_EQ(seconds_text(99), "99 s");
  EXPECT_EQ(seconds_text(150), "2.5 min");
  EXPECT_EQ(seconds_text(3 * 3600), "3.0 h");
  EXPECT_EQ(seconds_text(12 * 86400), "12.0 d");
}

class EstimateTableTest : public testing::Test {
 protected:
  const Scratch scratch_;
  const std::unique_ptr<comm::Communicator> solo_ = comm::make_solo_communicator();
  phases::SmallRun small_{scratch_.folder(), *solo_};
  const phases::Run run_ = small_.run(*solo_);
  const phases::RunEstimate model_{run_, phases::machine_named("h100")};
};

TEST_F(EstimateTableTest, HasATableForEachPhaseAndARowForEachNumberOfRanks) {
  const Estimates estimates = {model_.of(PhaseId::kPretrain, 2), model_.of(PhaseId::kPretrain, 8),
                               model_.of(PhaseId::kDistill, 2), model_.of(PhaseId::kDistill, 8)};
  const auto text = estimate_tables(run_, model_.sizes(), estimates);
  for (const std::string part :
       {"model: 5 tokens a sample, ", "of the sizes in [backbone]\n",
        "phase 0 pretrain: 5 steps of 7 samples, gradients of ", "    8 cannot cut pretrain.batch = 7 into 8 slices",
        "phase 1 distill: 5 steps of 16 tokens a site; checkpoint ", "in all: 2 rank(s) ", "; 8 rank(s) refused\n"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis not in\n" << text;
}

TEST_F(EstimateTableTest, APhaseThatEveryNumberOfRanksIsTooLargeForHasItsName) {
  const auto text = estimate_tables(run_, model_.sizes(), {model_.of(PhaseId::kPretrain, 8)});
  EXPECT_NE(text.find("\nphase 0 pretrain:\n      8 cannot cut"), std::string::npos) << text;
}

TEST_F(EstimateTableTest, JsonHasWhatTheTablesLeaveOut) {
  const auto json =
      estimate_json("20 samples", model_, {model_.of(PhaseId::kFinetune, 2), model_.of(PhaseId::kFinetune, 8)});
  EXPECT_EQ(json.at("data").as_string(), "20 samples");
  EXPECT_EQ(json.at("machine").at("figures").at("ranks_per_host").at("value").as_double(), 8);
  const auto& list = json.at("estimates").as_array();
  EXPECT_EQ(list.at(0).at("phase").as_string(), "finetune");
  // Four samples each of ten sites with three counts, and their tokens.
  EXPECT_EQ(list.at(0).at("gather_bytes").as_int(), 2 * 4 * (10 * 3 + 1) * 8);
  EXPECT_NE(list.at(1).find("refused"), nullptr);
  EXPECT_EQ(list.at(1).find("steps"), nullptr);
}

}  // namespace
}  // namespace acm::app
