#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>

#include "comm/beat.h"
#include "comm/world.h"
#include "config/describe.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/loader.h"
#include "data/source.h"
#include "nn/task.h"
#include "phases/run_folder.h"
#include "phases/settings.h"

namespace acm::phases {

// What every phase of a run borrows. Owned by main's frame; the same on all ranks but for the rank itself.
struct Run {
  const Settings& settings;
  const config::Fields& fields;  // of the same settings
  RunFolder folder;
  comm::Groups groups;
  Log& log;
  Progress& progress;
  comm::Beat& beat;
  std::stop_token stop;
  const data::DataSource& train_data;
  const data::DataSource& test_data;
  const nn::Task& task;
  data::Fetching fetching = {};                        // how this rank fetches samples, to the device below
  const data::DataSource* calibration_data = nullptr;  // budgets are met on it, no phase trains on it; null: none
  std::function<void(double seconds)> on_saved = {};   // hears how long each checkpoint took; may be empty
  at::Device device = at::kCPU;                        // where this rank's models live, and groups.data carries tensors

  int rank() const { return groups.control.rank(); }
  int ranks() const { return groups.control.size(); }
  bool is_root() const { return rank() == 0; }
  StreamKey key() const { return StreamKey(static_cast<uint64_t>(settings.seed)); }
};

// The settings of the phase's own section.
const TrainingConfig& training_of(const Settings& settings, PhaseId phase);
// The model file that a phase starts from: `<phase>.model`, else what design says: backbone.weights or the previous
// phase's. Empty for phase 0.
std::filesystem::path input_model(const Settings& settings, const RunFolder& folder, PhaseId phase);
// The dense model whose activations phases 1 and 2 learn from: phase 1's input.
std::filesystem::path teacher_model(const Settings& settings, const RunFolder& folder);

// Compares what the phase would compute with what its folder holds, and notes it there where the folder is new: the
// result fields it reads, the data and the digest of its input model. Error(kUsage) lists the fields that differ. Rank
// 0 only.
void check_identity(const Run& run, PhaseId phase);

// What a trainer tells: steps and pauses to the beat, the rest to the run. `metrics_file` may be null.
train::TrainerOutlets outlets(const Run& run, Progress& progress, train::MetricsFile* metrics_file);

// A phase in training over all ranks, with the settings of its section and checkpoints in its folder. Collective.
class TrainingOnAllRanks {
 public:
  TrainingOnAllRanks(const Run& run, PhaseId id, train::Phase& phase);
  int64_t step() const { return trainer_.step(); }
  train::Outcome run_to(int64_t step) { return trainer_.run(stop_, step); }

 private:
  std::stop_token stop_;
  std::optional<train::MetricsFile> metrics_;
  train::Trainer trainer_;
};
// The same to the end.
train::Outcome train_on_all_ranks(const Run& run, PhaseId id, train::Phase& phase);

}  // namespace acm::phases
