#include "phases/distill.h"

#include <limits>
#include <optional>

#include "phases/model_fit.h"
#include "phases/site_trainings.h"
#include "phases/window_walk.h"

namespace acm::phases {
namespace {

void assemble(const Run& run) {
  const auto teacher = load_teacher(run);
  teacher.backbone->to(run.device, run.settings.dtype());
  convert_sites(*teacher.backbone, run.settings.surgery(), run.key().with("distill"));
  for (const auto& [index, site, layer] : acm_sites(*teacher.backbone)) {
    const auto path = DistillSite::learners_file(run.folder, site->name);
    nn::load_parameters(*layer, io::SafetensorsFile(path).read_all(io::SelfCheck::kYes), path.string());
  }
  save_model(run.folder.model(PhaseId::kDistill), *teacher.backbone, "distill", teacher.description.at("preprocessing"),
             teacher.digest);
}

}  // namespace

train::Outcome run_distill(const Run& run) {
  std::unique_ptr<Capture> capture;
  std::optional<WindowPlan> windows;
  comm::together(run.groups.control, [&] {
    capture = std::make_unique<Capture>(run);
    windows = capture->plan(run.settings.distill);
  });
  WindowWalk walk(run, *capture, *windows);
  walk.announce();
  SiteTrainings mine(run, *capture);
  const int64_t first = comm::all_reduce_number(run.groups.control, mine.first_row(), comm::ReduceOp::kMin);
  const bool all_finished = first == std::numeric_limits<int64_t>::max();
  if (!all_finished && walk.from(first, [&](int64_t window) { return mine.train_to(windows->row_end(window)); }) ==
                           train::Outcome::kStopped)
    return train::Outcome::kStopped;
  const auto sites = static_cast<int64_t>(capture->need().layout.sites.size());
  run.progress.report({.phase = name_of(PhaseId::kDistill), .done = sites, .total = sites, .unit = "sites"});
  run.progress.finish(name_of(PhaseId::kDistill));
  comm::together(run.groups.control, [&] {
    if (run.is_root()) assemble(run);
  });
  return train::Outcome::kFinished;
}

}  // namespace acm::phases
