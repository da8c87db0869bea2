#include "phases/distill.h"

#include "acm/cost.h"
#include "core/error.h"
#include "phases/distill_site.h"
#include "phases/model_fit.h"
#include "phases/sharing.h"

namespace acm::phases {
namespace {

// Passes a site's progress on as progress of the whole phase: sites done of all, as the beats of the ranks tell.
class SiteProgress final : public Progress {
 public:
  SiteProgress(const Run& run, int64_t sites) : run_(run), sites_(sites) {}
  void report(const ProgressReport& report) override {
    int64_t done = 0;
    for (const auto& beat : run_.beat.all())
      if (beat && beat->phase == name_of(PhaseId::kDistill)) done += beat->sites_done;
    ProgressReport whole = report;
    whole.done = done;
    whole.total = sites_;
    whole.unit = "sites";
    whole.note = site + " step " + std::to_string(report.done) + "/" + std::to_string(report.total);
    run_.progress.report(whole);
  }
  void finish(std::string_view) override {}
  std::string site;

 private:
  const Run& run_;
  int64_t sites_;
};

train::Outcome train_site(const Run& run, const nn::Site& site, CacheReader& reader, comm::Communicator& solo,
                          SiteProgress& progress) {
  DistillSite phase(run, site, reader);
  train::MetricsFile metrics(run.folder.site(site.name) / "metrics.jsonl");
  progress.site = site.name;
  run.beat.update([&](comm::BeatState& state) { state.site = site.name; });
  train::Trainer trainer(phase, run.settings.distill.trainer(), {solo, solo}, run.folder.site(site.name),
                         {run.log, progress, &metrics, beat_steps(run.beat)});
  return trainer.run(run.stop, phase.steps());
}

// Trains the sites that fell to this rank, one after another. True where all of them are done.
bool train_my_sites(const Run& run, Capture& capture) try {
  const auto owners = site_owners(capture.teacher(), run.settings.surgery(), run.ranks());
  CacheReader reader(capture, run.log, run.settings.cache.shuffle_segments);
  const auto solo = comm::make_solo_communicator();
  SiteProgress progress(run, static_cast<int64_t>(owners.size()));
  int64_t done = 0;
  run.beat.update([](comm::BeatState& state) { state.phase = name_of(PhaseId::kDistill), state.sites_done = 0; });
  for (const auto& [name, owner] : owners) {
    if (owner != run.rank()) continue;
    if (run.stop.stop_requested()) return false;
    if (!std::filesystem::exists(DistillSite::learners_file(run.folder, name))) {
      const auto& site = capture.teacher().sites()[nn::site_index(capture.teacher(), name)];
      if (train_site(run, site, reader, *solo, progress) == train::Outcome::kStopped) return false;
    }
    reader.clear();
    ++done;
    run.beat.update([&](comm::BeatState& state) { state.sites_done = done; });
  }
  return true;
} catch (const Error& error) {
  // What a site's group of one agreed on is news to the other ranks: an error of this rank alone.
  throw Error(error.fault(), error.what(), error.where());
}

void assemble(const Run& run) {
  const auto teacher = load_teacher(run);
  teacher.backbone->to(run.settings.dtype());
  convert_sites(*teacher.backbone, run.settings.surgery(), run.key().with("distill"));
  for (const auto& [index, site, layer] : acm_sites(*teacher.backbone)) {
    const auto path = DistillSite::learners_file(run.folder, site->name);
    nn::load_parameters(*layer, io::SafetensorsFile(path).read_all(), path.string());
  }
  save_model(run.folder.model(PhaseId::kDistill), *teacher.backbone, "distill", teacher.description.at("preprocessing"),
             teacher.digest);
}

}  // namespace

std::vector<std::pair<std::string, int>> site_owners(const nn::Backbone& teacher, const SurgeryConfig& surgery,
                                                     int ranks) {
  std::vector<std::string> names;
  std::vector<int64_t> costs;
  for (const size_t index : selected_sites(teacher, surgery.kinds)) {
    const auto shape = shape_of(teacher.sites()[index], surgery);
    names.push_back(teacher.sites()[index].name);
    costs.push_back(shape.learners * learner_macs_per_token(shape));
  }
  const auto ranks_of_sites = share_out(costs, ranks);
  std::vector<std::pair<std::string, int>> owners;
  for (size_t i = 0; i < names.size(); ++i) owners.emplace_back(names[i], ranks_of_sites[i]);
  return owners;
}

train::Outcome run_distill(const Run& run) {
  std::unique_ptr<Capture> capture;
  comm::together(run.groups.control, [&] { capture = std::make_unique<Capture>(run); });
  if (!capture->fill()) return train::Outcome::kStopped;
  const bool done = train_my_sites(run, *capture);
  // The only meeting of the phase: everyone's sites are done, or someone was asked to stop.
  const bool all_done = comm::all_reduce_number(run.groups.control, int64_t{done}, comm::ReduceOp::kMin) == 1;
  const auto sites = static_cast<int64_t>(capture->cache().layout().sites.size());
  if (all_done)
    run.progress.report({.phase = name_of(PhaseId::kDistill), .done = sites, .total = sites, .unit = "sites"});
  run.progress.finish(name_of(PhaseId::kDistill));
  if (!all_done) return train::Outcome::kStopped;
  comm::together(run.groups.control, [&] {
    if (run.is_root()) assemble(run);
  });
  return train::Outcome::kFinished;
}

}  // namespace acm::phases
