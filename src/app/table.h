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
// Mean learners run at each site of one evaluation: a line for each block, a column for each kind of site. Empty for a
// dense model.
std::string learner_table(const Json& evaluation);

}  // namespace acm::app
