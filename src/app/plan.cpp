#include "app/plan.h"

#include <algorithm>
#include <cstdio>

#include "app/samples.h"
#include "core/error.h"
#include "core/file.h"
#include "core/quotient.h"
#include "phases/cache_plan.h"
#include "phases/model_fit.h"
#include "phases/sample_loader.h"
#include "phases/site_trainings.h"

namespace acm::app {

using phases::PhaseId;
using phases::Run;

namespace {

bool is_finished(const Run& run, PhaseId phase) { return std::filesystem::exists(run.folder.model(phase)); }

std::string slice_text(const Run& run, PhaseId phase, int ranks) {
  const auto slice = phases::first_slice(run.settings, phase, ranks);
  return ", " + std::to_string(slice.count) + " slices of at most " +
         std::to_string(data::cut(phases::training_of(run.settings, phase).batch, slice).size()) + "\n";
}

std::string ranks_text(int first, int count) {
  return count == 1 ? "rank " + std::to_string(first)
                    : "ranks " + std::to_string(first) + " to " + std::to_string(first + count - 1);
}

// Who trains what, how evenly, and who has nothing to train.
std::string team_lines(const Run& run, const nn::Backbone& backbone, int ranks) {
  const auto plan = phases::site_teams(backbone, run.settings, ranks);
  const auto& teams = plan.teams;
  std::string out, idle;
  for (int team = 0; team < teams.teams; ++team) {
    std::string sites;
    for (size_t i = 0; i < plan.sites.size(); ++i)
      if (teams.team_of_site[i] == team) sites += " " + plan.sites[i];
    (sites.empty() ? idle : out) += "    " + ranks_text(team * teams.size, teams.size) + ":" +
                                    (sites.empty() ? " no site, there are fewer than teams" : sites) + "\n";
  }
  out += idle;
  if (const int left = ranks - teams.teams * teams.size; left > 0)
    out += "    " + ranks_text(ranks - left, left) + ": no site, " + std::to_string(ranks) + " ranks make " +
           std::to_string(teams.teams) + " team(s) of " + std::to_string(teams.size) +
           ", and a team is a power of two of ranks\n";
  if (!idle.empty() && teams.size == run.settings.distill.slices)
    out += "    distill.slices = " + std::to_string(run.settings.distill.slices) +
           " lets at most as many ranks share a site\n";
  char balance[80];
  std::snprintf(balance, sizeof balance, "    balance: the busiest rank has %.2f times the mean load\n",
                teams.imbalance());
  return out + balance;
}

std::string cache_lines(const Run& run, PhaseId phase, const phases::CacheNeed& need, int ranks) {
  const auto folder = phases::cache_folder(run);
  const auto& config = phases::training_of(run.settings, phase);
  const auto windows = phases::plan_windows(need, phases::training_rows(config, need));
  const int64_t segments =
      windows.is_whole() ? need.layout.segments() : windows.groups_per_window() * need.shuffle_segments;
  return "    " + phases::describe_cache(need, windows, folder, free_bytes(folder)) + "\n    each rank captures " +
         phases::bytes_text(quotient_up(segments, ranks) * need.segment_bytes()) +
         (windows.is_whole() ? "\n" : " of each window\n");
}

// Phases that train on cached rows.
std::string row_phase_lines(const Run& run, PhaseId phase, int ranks) {
  const auto& config = phases::training_of(run.settings, phase);
  const auto backbone = phases::teacher_or_new(run);
  const auto need = phases::cache_need(run, phases::cache_layout(run, backbone->sites(), std::string(16, '0')),
                                       phases::tokens_of_first_sample(run, *backbone));
  std::string out =
      std::to_string(config.steps_over(need.epoch_rows())) + " steps of " + std::to_string(config.batch) + " tokens";
  if (phase == PhaseId::kDistill)
    return out + ", each site by itself\n" + cache_lines(run, phase, need, ranks) + team_lines(run, *backbone, ranks);
  return out + slice_text(run, phase, ranks) + cache_lines(run, phase, need, ranks);
}

std::string phase_lines(const Run& run, PhaseId phase, int ranks) {
  const auto& config = phases::training_of(run.settings, phase);
  std::string out = "  phase " + std::to_string(number(phase)) + " " + std::string(name_of(phase)) + ": ";
  if (is_finished(run, phase)) return out + "finished, " + run.folder.model(phase).string() + " stands\n";
  if (phase == PhaseId::kDistill || phase == PhaseId::kGating) return out + row_phase_lines(run, phase, ranks);
  return out + std::to_string(config.steps_over(run.train_data.size())) + " steps of " + std::to_string(config.batch) +
         " samples" + slice_text(run, phase, ranks);
}

}  // namespace

std::vector<PhaseId> wanted_phases(const std::string& phase, const phases::Settings& settings) {
  if (phase != "all") return {static_cast<PhaseId>(std::stoi(phase))};
  std::vector<PhaseId> all(phases::kAllPhases.begin(), phases::kAllPhases.end());
  if (!settings.backbone.weights.empty() || !settings.distill.model.empty()) all.erase(all.begin());
  return all;
}

void check_inputs(const Run& run, const std::vector<PhaseId>& wanted, const std::string& config) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto phase = wanted[i];
    const auto check = [&](const std::string& does, const std::filesystem::path& input) {
      const auto makes_it = [&](PhaseId maker) { return input == run.folder.model(maker); };
      const bool made_before = std::any_of(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(i), makes_it);
      if (input.empty() || made_before || std::filesystem::exists(input)) return;
      std::string advice = "check the path";
      for (const auto maker : phases::kAllPhases)
        if (makes_it(maker))
          advice = "make it with: acm_dist --phase " + std::to_string(number(maker)) + " --config " + config;
      if (makes_it(PhaseId::kPretrain)) advice += ", or name pretrained weights with backbone.weights";
      throw Error(Fault::kUsage, "phase " + std::to_string(number(phase)) + " " + does + " " + input.string() +
                                     ", which is not there: " + advice);
    };
    check("starts from", input_model(run.settings, run.folder, phase));
    if (phase == PhaseId::kFinetune && run.settings.finetune.teacher_weight > 0)
      check("learns from the outputs of", phases::teacher_model(run.settings, run.folder));
  }
}

std::string plan_of(const Run& run, const std::vector<PhaseId>& wanted, int ranks) {
  std::string out = "plan for " + std::to_string(ranks) + " rank(s), run folder " + run.folder.root().string() + "\n";
  out += "  data: " + samples_line(run) + ", " + std::to_string(run.train_data.classes()) + " classes\n";
  for (const auto phase : wanted) out += phase_lines(run, phase, ranks);
  return out;
}

}  // namespace acm::app
