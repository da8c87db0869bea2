#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "phases/evaluate.h"
#include "phases/shift_search.h"

namespace acm::phases {

// Shifts of a model's gates at which it spends wanted shares of the learners' cost, found on a calibration split
// (method.md 10.6).
struct Calibration {
  std::string split;                            // digest of what the split is
  int64_t samples = 0;                          // of the split
  std::map<double, ShiftedShare> budgets = {};  // asked for -> shift, and the share that it spends on the split

  Json to_json() const;
  static Calibration from(const Json& description);
};

// Collective. Runs the model over the split a few times for each budget; leaves its gates as they were. Error(kUsage)
// where a budget is less than the gates can spend.
Calibration calibrate(Model& model, const std::string& name, const data::DataSource& split, const Evaluator& evaluator,
                      const std::vector<double>& budgets, Log& log);

// A model at a budget on the test samples, as a report shows it: the evaluation, with "budget", "shift" and
// "calibration_share". Collective.
Json evaluate_at(Model& model, const data::DataSource& source, const Evaluator& evaluator, double budget,
                 const ShiftedShare& found);

// The table in the description of a model file, if there is one.
std::optional<Calibration> stored_calibration(const Json& description);
// Puts the table into the model file, where it joins one that was found on the same split and replaces any other.
// Nothing else in the file changes but its digest.
void store_calibration(const std::filesystem::path& file, const Calibration& calibration);

}  // namespace acm::phases
