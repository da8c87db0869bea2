#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "comm/world.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/stopwatch.h"
#include "train/checkpoint.h"
#include "train/gradient_reducer.h"
#include "train/learning_rate.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/phase.h"
#include "train/step_numbers.h"

namespace acm::train {

struct TrainerConfig {
  int64_t micro_batches = 1;  // slices of each rank in a step
  int cut_unit = 1;           // cuts of a step fall on multiples of it
  SumOrder order = SumOrder::kAsTheyCome;
  double learning_rate = 1e-3;
  int64_t warmup_steps = 0;
  int64_t save_every = 200;  // steps; 0: only at a stop
  double save_minutes = 0;   // beside save_every, by the first rank's clock; 0: off
  Retention retention = {};
  bool go_on_unsaved = false;  // after a save that failed; otherwise it ends the run
  int64_t rollbacks = 0;       // how often numbers that are not finite send training back to the last checkpoint
  int64_t log_every = 20;      // steps to a row
  int64_t evaluate_every = 0;  // steps; 0: never
};

// What a trainer tells and to whom. `metrics_file` is null on ranks that do not write it; `on_step` hears of each
// finished step, `on_pause` that something comes which is no step and may take long, `on_saved` of the seconds that a
// save took, and `on_writing`, from any thread, of the step whose checkpoint this rank begins to write, and of 0 when
// its part is written. All four may be empty.
struct TrainerOutlets {
  Log& log;
  Progress& progress;
  MetricsFile* metrics_file = nullptr;
  std::function<void(int64_t step)> on_step = {};
  std::function<void()> on_pause = {};
  std::function<void(double seconds)> on_saved = {};
  std::function<void(int64_t step)> on_writing = {};
};

// The slices of a rank in a step, in order: ranks x micro-batches cut the global batch, and rank r holds
// [r m, (r + 1) m). The one place that says so: whoever prepares a phase's data asks here.
std::vector<data::Slice> slices_of_rank(int rank, int ranks, int64_t micro_batches, int cut_unit, int64_t step = 0);
std::vector<data::Slice> slices_of_rank(const comm::Communicator& group, int64_t micro_batches, int cut_unit,
                                        int64_t step = 0);

enum class Outcome { kFinished, kStopped };

// Trains one phase over one group of ranks: the one loop of the program. Starts from the newest checkpoint of its
// folder by itself.
class Trainer {
 public:
  Trainer(Phase& phase, const TrainerConfig& config, comm::Groups groups, std::filesystem::path checkpoints,
          TrainerOutlets outlets);

  // Collective. Trains to `until_step` or until a rank's `stop` is requested, and saves there; after the phase's last
  // step Phase::finish() is called instead. Errors are the same on all ranks of the group and name phase, site and
  // step: kInternal where a number is not finite, kResource where a checkpoint cannot be written; the last checkpoint
  // stays.
  Outcome run(std::stop_token stop, int64_t until_step);
  int64_t step() const { return step_; }

 private:
  // What all ranks know after a step.
  struct Agreement {
    bool stop, not_finite, save_due;
    CheckpointStore::Outcome save;  // of the save that is under way: the worst of all ranks
  };
  std::vector<data::Slice> slices() const;
  void compute_gradients();
  bool host_needs_numbers(int64_t last) const;
  void read_numbers();
  void update();
  void note_fetching();
  Agreement agree(const std::stop_token& stop);
  bool goes_back();
  Parts parts() { return {{"phase", &phase_}, {"optimizer", &optimizer_}}; }
  void tend_save(const Agreement& all);
  void begin_save();
  void save_at_pause(bool stopping);
  void finish_save();
  void note_saved(const std::optional<CheckpointStore::Saved>& saved);
  void save_failed(const Error& failure, bool may_go_on) const;
  std::string kept_text() const;
  void write_row();
  void evaluate();
  void append(Json row, const std::map<std::string, double>& figures);  // where this rank writes the metrics file
  void report_progress();
  void pause() const {
    if (outlets_.on_pause) outlets_.on_pause();
  }
  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }

  Phase& phase_;
  TrainerConfig config_;
  comm::Groups groups_;
  TrainerOutlets outlets_;
  CheckpointStore store_;
  Optimizer optimizer_;
  GradientReducer reducer_;
  LearningRate learning_rate_;
  Metrics metrics_;
  int64_t step_ = 0;                // steps done
  std::optional<int64_t> saved_;    // the newest checkpoint
  bool started_ = false;            // by Phase::start() or a checkpoint
  StepNumbers numbers_;             // of the last step
  bool unread_ = false;             // whether the host has yet to look at them
  StepNumbers::Values read_;        // what it saw last
  double seconds_ = 0;              // spent in steps since the last row
  double rate_ = 0;                 // items per second since the last row
  double waited_seconds_ = 0;       // for samples, since the last row
  double wait_share_ = -1;          // of seconds_; negative where the phase fetches none
  std::optional<double> row_loss_;  // of the last row
  Stopwatch since_save_;
  double save_seconds_ = 0;  // that steps waited for saves, since the last row
  int64_t rollbacks_ = 0;
  std::set<int64_t> skipped_;  // steps whose batch gave numbers that were not finite
};

}  // namespace acm::train
