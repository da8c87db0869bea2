#pragma once

#include <string>
#include <vector>

#include "core/json.h"

namespace acm::app {

// A row of the results: what was evaluated, and its evaluation as phases/evaluate.h writes it.
struct ResultRow {
  std::string name;
  Json evaluation;
};

// Accuracy, cost and learners of each row, aligned for a terminal.
std::string result_table(const std::vector<ResultRow>& rows);
// A row for each budget that a model was asked to meet (phases/calibration.h).
std::string budget_table(const std::vector<Json>& rows);
// The cost of a sample: mean and percentiles.
std::string cost_lines(const Json& evaluation);
// How many samples could not be read; empty where all could.
std::string replaced_line(const Json& evaluation);
// Mean learners run at each site of one evaluation: a line for each block, a column for each kind of site. Empty for a
// dense model.
std::string learner_table(const Json& evaluation);

}  // namespace acm::app
