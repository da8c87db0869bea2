#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "comm/world.h"
#include "core/log.h"
#include "core/progress.h"
#include "train/checkpoint.h"
#include "train/gradient_reducer.h"
#include "train/learning_rate.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/phase.h"

namespace acm::train {

struct TrainerConfig {
  int64_t micro_batches = 1;  // slices of each rank in a step
  int cut_unit = 1;           // cuts of a step fall on multiples of it
  SumOrder order = SumOrder::kAsTheyCome;
  double learning_rate = 1e-3;
  int64_t warmup_steps = 0;
  int64_t save_every = 200;    // steps; 0: only at a stop
  int64_t log_every = 20;      // steps to a row
  int64_t evaluate_every = 0;  // steps; 0: never
};

// What a trainer tells and to whom. `metrics_file` is null on ranks that do not write it; `on_step` (may be empty)
// hears of each finished step.
struct TrainerOutlets {
  Log& log;
  Progress& progress;
  MetricsFile* metrics_file = nullptr;
  std::function<void(int64_t step)> on_step = {};
};

// The slices of a group's rank in a step, in order: ranks x micro-batches cut the global batch, and rank r holds
// [r m, (r + 1) m). The one place that says so: whoever prepares a phase's data asks here.
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
  // step Phase::finish() is called instead. Error(kInternal), the same on all ranks of the group, names phase, site and
  // step where a number is not finite; the last checkpoint stays.
  Outcome run(std::stop_token stop, int64_t until_step);
  int64_t step() const { return step_; }

 private:
  struct Agreement {
    bool stop, not_finite;
  };
  void take_step();
  void note_fetching();
  Agreement agree(const std::stop_token& stop);
  Parts parts() { return {{"phase", &phase_}, {"optimizer", &optimizer_}}; }
  void save();
  void write_row();
  void evaluate();
  void append(Json row, const std::map<std::string, double>& figures);  // where this rank writes the metrics file
  void report_progress();
  [[noreturn]] void fail_not_finite();
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
  double loss_ = 0;                 // this rank's part, of the last step
  std::vector<double> norms_;       // by parameter group, of the last step
  bool finite_ = true;              // loss_ and norms_
  double seconds_ = 0;              // spent in steps since the last row
  double rate_ = 0;                 // items per second since the last row
  double waited_seconds_ = 0;       // for samples, since the last row
  double wait_share_ = -1;          // of seconds_; negative where the phase fetches none
  std::optional<double> row_loss_;  // of the last row
};

}  // namespace acm::train
