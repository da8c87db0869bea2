#include "app/plan.h"

#include <map>

#include "core/error.h"
#include "core/file.h"
#include "phases/capture.h"
#include "phases/distill.h"
#include "phases/pretrain.h"
#include "phases/sample_loader.h"

namespace acm::app {

using phases::PhaseId;
using phases::Run;

namespace {

bool is_finished(const Run& run, PhaseId phase) { return std::filesystem::exists(run.folder.model(phase)); }

std::shared_ptr<nn::Backbone> backbone_of(const Run& run) {
  const auto teacher = phases::teacher_model(run.settings, run.folder);
  if (std::filesystem::exists(teacher)) return load_model(teacher).backbone;
  return phases::new_backbone(run);
}

std::string site_lines(const Run& run) {
  const auto owners = phases::site_owners(*backbone_of(run), run.settings.surgery(), run.ranks());
  std::map<int, std::string> by_rank;
  for (const auto& [site, rank] : owners) by_rank[rank] += " " + site;
  std::string out;
  for (const auto& [rank, sites] : by_rank) out += "    rank " + std::to_string(rank) + ":" + sites + "\n";
  return out;
}

std::string cache_line(const Run& run) {
  const auto backbone = backbone_of(run);
  const auto layout = phases::cache_layout(run, *backbone, "");
  const auto folder = phases::cache_folder(run);
  const int64_t tokens = phases::tokens_of_first_sample(run, *backbone);
  return "    cache: " + std::to_string(layout.samples) + " samples in " + std::to_string(layout.segments()) +
         " segments, " + std::to_string(layout.payload_bytes(tokens) / 1'000'000) + " MB of " +
         std::to_string(free_bytes(folder) / 1'000'000) + " MB free in " + folder.string() + "\n";
}

std::string phase_lines(const Run& run, PhaseId phase) {
  const auto& config = phases::training_of(run.settings, phase);
  std::string out = "  phase " + std::to_string(number(phase)) + " " + std::string(name_of(phase));
  if (is_finished(run, phase)) return out + ": finished, " + run.folder.model(phase).string() + " stands\n";
  const bool rows = phase == PhaseId::kDistill || phase == PhaseId::kGating;
  out += ": " +
         (rows && config.steps == 0 ? "steps as the cached tokens give"
                                    : std::to_string(config.steps_over(run.train_data.size())) + " steps") +
         " of " + std::to_string(config.batch) + (rows ? " tokens" : " samples");
  if (phase == PhaseId::kDistill) return out + ", each site by itself\n" + cache_line(run) + site_lines(run);
  const auto slices = phases::slices_of_rank(run, phase);
  return out + ", " + std::to_string(slices.front().count) + " slices of at most " +
         std::to_string(data::cut(config.batch, 0, slices.front().count).size()) + "\n";
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
    const auto input = input_model(run.settings, run.folder, phase);
    const bool made_before = i > 0 && input == run.folder.model(wanted[i - 1]);
    if (input.empty() || made_before || std::filesystem::exists(input)) continue;
    std::string advice = "check the path";
    for (const auto maker : phases::kAllPhases)
      if (input == run.folder.model(maker))
        advice = "make it with: acm_dist --phase " + std::to_string(number(maker)) + " --config " + config;
    if (input == run.folder.model(PhaseId::kPretrain)) advice += ", or name pretrained weights with backbone.weights";
    throw Error(Fault::kUsage, "phase " + std::to_string(number(phase)) + " starts from " + input.string() +
                                   ", which is not there: " + advice);
  }
}

std::string plan_of(const Run& run, const std::vector<PhaseId>& wanted) {
  std::string out =
      "plan for " + std::to_string(run.ranks()) + " rank(s), run folder " + run.folder.root().string() + "\n";
  out += "  data: " + std::to_string(run.train_data.size()) + " training and " + std::to_string(run.test_data.size()) +
         " test samples, " + std::to_string(run.train_data.classes()) + " classes\n";
  for (const auto phase : wanted) out += phase_lines(run, phase);
  return out;
}

}  // namespace acm::app
