#include "phases/calibration.h"

#include "acm/cost.h"
#include "acm/gate_shift.h"
#include "core/digest.h"
#include "core/error.h"

namespace acm::phases {
namespace {

constexpr const char* kRule = "shift * k on the logits of each gate";
// What is left of it beside the difference between two samples of the data: method.md 10.6 meets budgets within 0.002.
constexpr double kTolerance = 5e-4;

std::string text(double value) { return Json(value).dump(); }

}  // namespace

Json Calibration::to_json() const {
  Json rows = Json::Array();
  for (const auto& [budget, found] : budgets)
    rows.push_back(Json::object({{"budget", budget}, {"shift", found.shift}, {"share", found.share}}));
  return Json::object({{"rule", kRule}, {"split", split}, {"samples", samples}, {"budgets", rows}});
}

Calibration Calibration::from(const Json& description) {
  if (description.at("rule") != Json(kRule))
    throw Error(Fault::kData, "cannot read the calibration of a model: its rule must be '" + std::string(kRule) +
                                  "', found " + description.at("rule").dump());
  Calibration calibration{.split = description.at("split").as_string(), .samples = description.at("samples").as_int()};
  for (const Json& row : description.at("budgets").as_array())
    calibration.budgets[row.at("budget").as_double()] = {row.at("shift").as_double(), row.at("share").as_double()};
  return calibration;
}

Calibration calibrate(Model& model, const std::string& name, const data::DataSource& split, const Evaluator& evaluator,
                      const std::vector<double>& budgets, Log& log) {
  const double least = least_learner_share(cost_model(*model.backbone));
  for (const double budget : budgets)
    if (budget < least)
      throw Error(Fault::kUsage, "cannot meet a budget of " + text(budget) + " with " + name +
                                     ": q, k, v and o run at least one learner, which takes a share of " + text(least) +
                                     " of the learners' cost; ask for that or more");
  GateShift gates(*model.backbone);
  SilentProgress silent;  // a line a budget says enough
  const Evaluator quietly{evaluator.task,     evaluator.micro_batch, evaluator.group,   silent,
                          evaluator.fetching, evaluator.device,      evaluator.autocast};
  int probes = 0;
  ShiftSearch search(
      [&](double shift) {
        ++probes;
        gates.set(shift);
        return quietly(model, split).learner_share;
      },
      kTolerance);
  Calibration calibration{.split = digest_of(split.identity().dump()), .samples = split.size()};
  for (const double budget : budgets) {
    const int before = probes;
    const auto found = search.find(budget);
    calibration.budgets[budget] = found;
    if (evaluator.group.is_root())
      log.info("budget " + text(budget) + ": shift " + text(found.shift) + " spends " + text(found.share) + " on " +
               std::to_string(split.size()) + " calibration samples (" + std::to_string(probes - before) + " passes)");
  }
  gates.set(0);
  return calibration;
}

Json evaluate_at(Model& model, const data::DataSource& source, const Evaluator& evaluator, double budget,
                 const ShiftedShare& found) {
  GateShift gates(*model.backbone);
  gates.set(found.shift);
  Json row = evaluator(model, source).to_json();
  gates.set(0);
  row["budget"] = budget;
  row["shift"] = found.shift;
  row["calibration_share"] = found.share;
  return row;
}

std::optional<Calibration> stored_calibration(const Json& description) {
  const Json* stored = description.find("calibration");
  if (stored == nullptr || stored->is_null()) return std::nullopt;
  return Calibration::from(*stored);
}

void store_calibration(const std::filesystem::path& file, const Calibration& calibration) {
  Json description = nn::read_description(file);
  Calibration table = calibration;
  if (auto stored = stored_calibration(description); stored && stored->split == table.split)
    table.budgets.merge(stored->budgets);
  description["calibration"] = table.to_json();
  nn::replace_description(file, description);
}

}  // namespace acm::phases
