#include "acm/cost.h"
#include "core/file.h"
#include "phases/calibration.h"
#include "phases/evaluate.h"
#include "phases/model_fit.h"

namespace acm::phases {
namespace {

// What a phase's file is to hold.
Json evaluations_of(const Run& run, PhaseId phase, Model& model, const std::string& name) {
  const auto evaluator = evaluator_of(run);
  std::vector<std::optional<int64_t>> choices = {std::nullopt};
  if (phase == PhaseId::kDistill) {
    choices.clear();
    for (int64_t k = 1; k <= run.settings.acm.learners; ++k) choices.emplace_back(k);
  }
  Json list = Json::Array();
  for (const auto& choice : choices) {
    const auto evaluation = evaluator(model, run.test_data, choice);
    if (run.is_root()) run.log.info("evaluated " + name + ": " + evaluation.speed());
    list.push_back(evaluation.to_json());
  }
  const double budget = run.settings.acm.budget;
  const bool reachable = budget >= least_learner_share(cost_model(*model.backbone));
  const bool has_gates = phase == PhaseId::kGating || phase == PhaseId::kFinetune;
  if (has_gates && run.calibration_data && reachable) {
    const auto found = calibrate(model, name, *run.calibration_data, evaluator, {budget}, run.log).budgets.at(budget);
    list.push_back(evaluate_at(model, run.test_data, evaluator, budget, found));
  }
  return list;
}

}  // namespace

Json evaluate_phase(const Run& run, PhaseId phase) {
  const auto path = run.folder.evaluation(phase);
  Model model;
  std::string name, kept;  // kept, on rank 0: the text of a file that was made from the same model
  comm::together(run.groups.control, [&] {
    const bool dense = phase == PhaseId::kPretrain;
    const auto file = dense ? teacher_model(run.settings, run.folder) : run.folder.model(phase);
    model = dense ? load_teacher(run) : load_model(file);
    model.backbone->to(run.device);
    name = file.filename().string();
    check_fits(model, file, run.test_data);
    if (run.is_root() && std::filesystem::exists(path)) {
      kept = read_file(path);
      if (Json::parse(kept, path.string()).at("model") != Json(model.digest)) kept.clear();
    }
  });
  kept = comm::broadcast_string(run.groups.control, kept);
  if (!kept.empty()) return Json::parse(kept, path.string());

  const Json content =
      Json::object({{"model", model.digest}, {"evaluations", evaluations_of(run, phase, model, name)}});
  comm::together(run.groups.control, [&] {
    if (run.is_root()) replace_file(path, content.dump(1) + "\n");
  });
  return content;
}

}  // namespace acm::phases
