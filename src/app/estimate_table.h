#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "phases/estimate.h"

namespace acm::app {

// Estimates of the wanted phases, for each number of ranks; by phase, then by ranks.
using Estimates = std::vector<phases::Estimate>;

// Seconds for people: "2.13 ms", "17.4 s", "5.2 min", "3.1 h", "12.0 d"; "-" where there are none.
std::string seconds_text(double seconds);

// A table for each phase, a row for each number of ranks, and one of all phases together.
std::string estimate_tables(const phases::Run& run, const phases::ModelSizes& sizes, const Estimates& estimates);
// The machine's figures with their origins.
std::string machine_lines(const phases::Machine& machine);
// All of it for programs: {"data", "model", "machine", "estimates"}.
Json estimate_json(const std::string& data, const phases::RunEstimate& model, const Estimates& estimates);

}  // namespace acm::app
