#include "phases/run.h"

#include <optional>

#include "config/read.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "nn/import.h"
#include "phases/sample_loader.h"

namespace acm::phases {
namespace {

using Names = std::vector<std::string_view>;

// The result fields that a phase's outcome depends on, beside those of the phases before it, which reach it through its
// input model.
Names fields_of(const Settings& settings, PhaseId phase) {
  Names names = {"seed", "precision", "data", "augment"};
  const auto also = [&](std::initializer_list<std::string_view> more) { names.insert(names.end(), more); };
  switch (phase) {
    case PhaseId::kPretrain:
      also({"backbone", "pretrain"});
      break;
    case PhaseId::kDistill:
      also({"acm", "-acm.budget", "cache", "distill"});
      break;
    case PhaseId::kGating:
      also({"cache", "gate", "gating"});
      if (settings.gating.rule == "allocation") also({"acm.budget"});
      break;
    case PhaseId::kFinetune:
      also({"acm.budget", "finetune"});
      break;
  }
  return names;
}

Json identity_of(const Run& run, PhaseId phase) {
  const auto input = input_model(run.settings, run.folder, phase);
  Json identity = Json::object({{"config", config::result_fields(run.fields, fields_of(run.settings, phase))},
                                {"data", run.train_data.identity()},
                                {"input", input.empty() ? Json() : Json(nn::digest_of_weights(input))}});
  if (phase == PhaseId::kFinetune && run.settings.finetune.teacher_weight > 0)
    identity["teacher"] = nn::digest_of_weights(teacher_model(run.settings, run.folder));
  return identity;
}

// "distill.steps is 800 here and 400 in the folder" for each member that differs.
void list_differences(const std::string& path, const Json& mine, const Json& theirs, std::string& out) {
  if (mine == theirs) return;
  if (mine.is_object() && theirs.is_object()) {
    for (const auto& [key, value] : mine.as_object()) {
      const Json* other = theirs.find(key);
      list_differences(path.empty() ? key : path + "." + key, value, other ? *other : Json(), out);
    }
    for (const auto& [key, value] : theirs.as_object())
      if (!mine.find(key)) list_differences(path.empty() ? key : path + "." + key, Json(), value, out);
    return;
  }
  out += "\n  " + path + ": " + mine.dump() + " here, " + theirs.dump() + " there";
}

// Whether the phase has left anything that another start would go on from; an identity alone was noted by a start that
// failed at once.
bool is_begun(const Run& run, PhaseId phase) {
  const std::filesystem::directory_iterator entries(run.folder.checkpoints(phase));
  return std::filesystem::exists(run.folder.model(phase)) || std::distance(begin(entries), end(entries)) > 1;
}

}  // namespace

const TrainingConfig& training_of(const Settings& settings, PhaseId phase) {
  switch (phase) {
    case PhaseId::kPretrain:
      return settings.pretrain;
    case PhaseId::kDistill:
      return settings.distill;
    case PhaseId::kGating:
      return settings.gating;
    case PhaseId::kFinetune:
      return settings.finetune;
  }
  throw std::logic_error("unknown phase");
}

std::filesystem::path input_model(const Settings& settings, const RunFolder& folder, PhaseId phase) {
  const auto& given = training_of(settings, phase).model;
  if (!given.empty()) return given;
  switch (phase) {
    case PhaseId::kPretrain:
      return {};
    case PhaseId::kDistill:
      return settings.backbone.weights.empty() ? folder.model(PhaseId::kPretrain)
                                               : std::filesystem::path(settings.backbone.weights);
    case PhaseId::kGating:
      return folder.model(PhaseId::kDistill);
    case PhaseId::kFinetune:
      return folder.model(PhaseId::kGating);
  }
  throw std::logic_error("unknown phase");
}

std::filesystem::path teacher_model(const Settings& settings, const RunFolder& folder) {
  return input_model(settings, folder, PhaseId::kDistill);
}

void check_identity(const Run& run, PhaseId phase) {
  const auto path = run.folder.identity(phase);
  const Json mine = identity_of(run, phase);
  if (!std::filesystem::exists(path) || !is_begun(run, phase)) {
    make_folder(path.parent_path());
    replace_file(path, mine.dump(1) + "\n");
    return;
  }
  const Json theirs = Json::parse(read_file(path), path.string());
  std::string differences;
  list_differences("", mine, theirs, differences);
  if (differences.empty()) return;
  if (mine.at("input") != theirs.at("input"))
    differences += "\n  (input: the digest of " + input_model(run.settings, run.folder, phase).string() + ")";
  throw Error(Fault::kUsage, "phase " + std::to_string(number(phase)) + " in " + run.folder.root().string() +
                                 " was begun with other settings:" + differences +
                                 "\nuse another run_dir, put the settings back, or delete " +
                                 run.folder.checkpoints(phase).string() + " and " + run.folder.model(phase).string() +
                                 " to begin the phase anew");
}

train::TrainerOutlets outlets(const Run& run, Progress& progress, train::MetricsFile* metrics_file) {
  return {.log = run.log,
          .progress = progress,
          .metrics_file = metrics_file,
          .on_step = [&beat = run.beat](int64_t step) { beat.note_step(step); },
          .on_pause = [&beat = run.beat] { beat.note_pause(); },
          .on_saved = run.on_saved,
          .on_writing =
              [&beat = run.beat](int64_t step) { beat.update([step](comm::BeatState& mine) { mine.saving = step; }); }};
}

TrainingOnAllRanks::TrainingOnAllRanks(const Run& run, PhaseId id, train::Phase& phase)
    : stop_(run.stop), trainer_([&]() -> train::Trainer {
        if (run.is_root()) metrics_.emplace(run.folder.metrics());
        run.beat.update([&](comm::BeatState& state) { state.phase = phase.name(); });
        auto config = run.settings.trainer(training_of(run.settings, id));
        config.cut_unit = cut_unit(run.settings, id);
        return {phase, config, run.groups, run.folder.checkpoints(id),
                outlets(run, run.progress, metrics_ ? &*metrics_ : nullptr)};
      }()) {}

train::Outcome train_on_all_ranks(const Run& run, PhaseId id, train::Phase& phase) {
  return TrainingOnAllRanks(run, id, phase).run_to(phase.steps());
}

}  // namespace acm::phases
