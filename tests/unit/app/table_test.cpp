#include "app/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace acm::app {
namespace {

Json evaluation(double top1, const Json& mean_learners) {
  return Json::object({{"top1", top1},
                       {"top5", 1.0},
                       {"gmac", 0.0123456789},
                       {"mac_percentiles", Json::object({{"p05", 9'000'000}, {"p50", 12'345'678}})},
                       {"share_of_dense", 0.5},
                       {"learner_share", 0.375},
                       {"mean_learners", mean_learners}});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(ResultTable, AlignsColumnsAndLeavesTheDenseModelWithoutLearners) {
  const auto table = result_table(
      {{"dense", evaluation(0.9, Json::object())},
       {"phase 1, k = 2", evaluation(0.12345, Json::object({{"blocks.0.q", 1.0}, {"blocks.0.ffn", 2.5}}))}});
  EXPECT_EQ(
      table,
      "model             top-1     top-5  GMAC/sample  of dense  learner cost  learners/site\n"
      "dense           90.00 %  100.00 %     0.012346     0.500             -              -\n"
      "phase 1, k = 2  12.35 %  100.00 %     0.012346     0.500         0.375           1.75\n"
      "GMAC: 10^9 multiply-accumulates counted from shapes; biases, norms, activations and softmax are not counted.\n");
}

TEST(ResultTable, AFigureThatIsNotThereIsADash) {
  auto without = evaluation(0.5, Json::object());
  without.as_object().erase("top5");
  const auto line = lines_of(result_table({{"m", without}})).at(1);
  EXPECT_EQ(line.substr(0, line.find("0.012346")), "m      50.00 %      -     ");
}

TEST(CostLines, ShowTheMeanAndThePercentiles) {
  EXPECT_EQ(cost_lines(evaluation(0.5, Json::object())),
            "GMAC of a sample: mean 0.012346, p05 0.009000, p50 0.012346\n");
}

TEST(BudgetTable, HasARowForEachBudget) {
  auto row = evaluation(0.9, Json::object({{"blocks.0.q", 1.0}}));
  row["budget"] = 0.35;
  row["shift"] = -0.123456;
  row["calibration_share"] = 0.35021;
  const auto lines = lines_of(budget_table({row}));
  EXPECT_EQ(lines.at(0), "budget    shift  on calibration  learner cost    top-1     top-5  GMAC/sample  of dense");
  EXPECT_EQ(lines.at(1), "0.350   -0.1235          0.3502        0.3750  90.00 %  100.00 %     0.012346     0.500");
}

TEST(LearnerTable, HasALineForEachBlockInTheOrderOfNumbers) {
  Json sites = Json::object();
  for (int block = 0; block < 12; ++block) sites["blocks." + std::to_string(block) + ".ffn"] = 0.25 * block;
  const auto lines = lines_of(learner_table(evaluation(0.5, sites)));
  ASSERT_EQ(lines.size(), 13u);
  EXPECT_EQ(lines[0], "mean learners   ffn");
  EXPECT_EQ(lines[3], "block 2        0.50");
  EXPECT_EQ(lines[12], "block 11       2.75");
}

TEST(LearnerTable, HasAColumnForEachKindAndDashesForDenseSites) {
  const auto table =
      learner_table(evaluation(0.5, Json::object({{"blocks.0.q", 1.0}, {"blocks.1.ffn", 2.0}, {"blocks.1.q", 3.0}})));
  EXPECT_EQ(table,
            "mean learners   ffn     q\n"
            "block 0           -  1.00\n"
            "block 1        2.00  3.00\n");
}

TEST(LearnerTable, IsEmptyForADenseModel) { EXPECT_EQ(learner_table(evaluation(0.5, Json::object())), ""); }

}  // namespace
}  // namespace acm::app
