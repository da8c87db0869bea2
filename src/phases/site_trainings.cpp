#include "phases/site_trainings.h"

#include <limits>

#include "acm/cost.h"
#include "core/error.h"
#include "core/json.h"

namespace acm::phases {
namespace {

// Passes a site's progress on as progress of the whole phase: sites done of all, as the beats of the ranks tell.
class SiteProgress final : public Progress {
 public:
  SiteProgress(const Run& run, int64_t sites, std::string site) : run_(run), sites_(sites), site_(std::move(site)) {}
  void report(const ProgressReport& report) override {
    int64_t done = 0;
    for (const auto& beat : run_.beat.all())
      if (beat && beat->phase == name_of(PhaseId::kDistill)) done += beat->sites_done;
    ProgressReport whole = report;
    whole.done = done;
    whole.total = sites_;
    whole.unit = "sites";
    whole.note = site_ + " step " + std::to_string(report.done) + "/" + std::to_string(report.total);
    run_.progress.report(whole);
  }
  void finish(std::string_view) override {}

 private:
  const Run& run_;
  int64_t sites_;
  std::string site_;
};

std::vector<std::string> sites_of_rank(const SiteTeams& plan, int rank) {
  std::vector<std::string> mine;
  for (size_t i = 0; i < plan.sites.size(); ++i)
    if (plan.teams.team_of_site[i] == plan.teams.team_of_rank(rank)) mine.push_back(plan.sites[i]);
  return mine;
}

// What a site's team agreed on is news to the other ranks: an error of this team alone.
template <typename Work>
void in_team(const Work& work) try {
  work();
} catch (const Error& error) {
  throw Error(error.fault(), error.what(), error.where());
}

}  // namespace

SiteTeams site_teams(const nn::Backbone& teacher, const Settings& settings, int ranks) {
  SiteTeams plan;
  std::vector<int64_t> costs;
  for (const size_t index : selected_sites(teacher.sites(), settings.acm.sites)) {
    const auto shape = shape_of(teacher.sites()[index], settings.surgery());
    plan.sites.push_back(teacher.sites()[index].name);
    costs.push_back(shape.learners * learner_macs_per_token(shape));
  }
  plan.teams = plan_teams(costs, ranks, settings.distill.slices);
  return plan;
}

// One site in training. Only the first rank of a team writes its metrics.
class SiteTrainings::Site {
 public:
  Site(const Run& run, const nn::Site& site, CacheReader& reader, const Team& team, int64_t all_sites)
      : phase_(run, site, reader, *team.control),
        progress_(run, all_sites, site.name),
        trainer_(phase_, phase_.trainer_config(), {*team.data, *team.control}, run.folder.site(site.name),
                 outlets(run, progress_, metrics_of(run, site, *team.control))) {}

  bool is_finished() const { return is_finished_; }
  const std::string& name() const { return name_; }
  int64_t next_row() const { return trainer_.step() * phase_.items_per_step(); }

  train::Outcome train_to(const std::stop_token& stop, int64_t row_end) {
    const auto threads = phase_.threads();
    const int64_t batch = phase_.items_per_step();
    phase_.read_ahead_until(row_end);
    const auto outcome = trainer_.run(stop, row_end / batch);
    is_finished_ = outcome == train::Outcome::kFinished && trainer_.step() == phase_.steps();
    if (outcome == train::Outcome::kFinished) phase_.keep_rows(trainer_.step(), row_end);
    return outcome;
  }

 private:
  train::MetricsFile* metrics_of(const Run& run, const nn::Site& site, const comm::Communicator& team) {
    if (!team.is_root()) return nullptr;
    return &metrics_.emplace(run.folder.site(site.name) / "metrics.jsonl");
  }

  DistillSite phase_;
  SiteProgress progress_;
  std::optional<train::MetricsFile> metrics_;
  train::Trainer trainer_;
  std::string name_{phase_.site()};
  bool is_finished_ = false;
};

SiteTrainings::SiteTrainings(const Run& run, Capture& capture)
    : run_(run),
      plan_(site_teams(capture.teacher(), run.settings, run.ranks())),
      team_(make_team()),
      reader_(capture, run.log, sites_of_rank(plan_, run.rank())) {
  in_team([&] {
    const auto mine = sites_of_rank(plan_, run_.rank());
    const auto unfinished = unfinished_of(mine);
    for (const auto& name : unfinished) {
      const auto& site = capture.teacher().sites()[nn::site_index(capture.teacher(), name)];
      sites_.push_back(std::make_unique<Site>(run_, site, reader_, team_, static_cast<int64_t>(plan_.sites.size())));
    }
    done_ = static_cast<int64_t>(mine.size() - unfinished.size());
  });
}

// A rank without a team is one by itself.
SiteTrainings::Team SiteTrainings::make_team() const {
  const int team = plan_.teams.team_of_rank(run_.rank()), colour = team >= 0 ? team : run_.ranks() + run_.rank();
  return {run_.groups.data.split(colour), run_.groups.control.split(colour)};
}

// The first rank of the team looks: others may see a file a moment later.
std::vector<std::string> SiteTrainings::unfinished_of(const std::vector<std::string>& mine) const {
  Json list = Json::Array();
  for (const auto& name : mine)
    if (!std::filesystem::exists(DistillSite::learners_file(run_.folder, name))) list.push_back(name);
  std::vector<std::string> names;
  const auto agreed = Json::parse(comm::broadcast_string(*team_.control, list.dump()), "the list of sites");
  for (const Json& name : agreed.as_array()) names.push_back(name.as_string());
  return names;
}

SiteTrainings::~SiteTrainings() = default;

int64_t SiteTrainings::first_row() const {
  int64_t first = std::numeric_limits<int64_t>::max();
  for (const auto& site : sites_)
    if (!site->is_finished()) first = std::min(first, site->next_row());
  return first;
}

void SiteTrainings::tell_done() const {
  run_.beat.update([&](comm::BeatState& state) {
    state.phase = name_of(PhaseId::kDistill);
    state.sites_done = team_.control->is_root() ? done_ : 0;  // once a team
  });
}

train::Outcome SiteTrainings::train_to(int64_t row_end) {
  auto outcome = train::Outcome::kFinished;
  in_team([&] {
    tell_done();
    for (const auto& site : sites_) {
      if (site->is_finished()) continue;
      run_.beat.update([&](comm::BeatState& state) { state.site = site->name(); });
      outcome = site->train_to(run_.stop, row_end);
      if (outcome == train::Outcome::kStopped) return;
      done_ += site->is_finished();
      tell_done();
    }
    reader_.forget_first_samples();
  });
  return outcome;
}

}  // namespace acm::phases
