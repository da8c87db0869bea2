#pragma once

#include "acm/distillation_loss.h"
#include "phases/single_thread.h"
#include "phases/training_rows.h"
#include "train/phase.h"

namespace acm::phases {

// Phase 1 of one site: its learners against the teacher's output, on rows of the cache. Its own random streams,
// optimizer and clip (method.md 3). Trained by a team of ranks, each of which holds one of these.
class DistillSite final : public train::Phase {
 public:
  DistillSite(const Run& run, const nn::Site& site, CacheReader& reader, comm::Communicator& team);

  std::string_view name() const override { return name_of(PhaseId::kDistill); }
  std::string_view site() const override { return site_.name; }
  int64_t steps() const override { return steps_; }
  std::string_view unit() const override { return "tokens"; }
  int64_t items_per_step() const override { return config_.batch; }
  std::vector<train::ParameterGroup> parameter_groups() override;
  void visit_state(train::StateVisitor& visitor) override;
  void start() override;
  void begin_step(std::span<const data::Slice> mine) override { rows_.load(mine.front().step); }
  at::Tensor loss(const data::Slice& slice, train::Metrics& metrics) override;
  std::optional<data::FetchFigures> take_fetch_figures() override { return rows_.take_fetch_figures(); }
  void finish() override;  // writes learners_file()

  // How the trainer of a team cuts steps and sums gradients: into distill.slices parts, whatever the team's size.
  train::TrainerConfig trainer_config() const;
  // Collective over the team. Keeps what this rank needs of step `step` from before training row `row_end`, and lets go
  // of the rest.
  void keep_rows(int64_t step, int64_t row_end) { rows_.load(step, row_end); }
  void read_ahead_until(int64_t row_end) { rows_.read_ahead_until(row_end); }  // see TrainingRows
  // To be held while the site trains.
  SingleThreadInFloat64 threads() const;

  // What the site leaves for the assembly of the model: its learners, in safetensors.
  static std::filesystem::path learners_file(const RunFolder& folder, const std::string& site);

 private:
  const Run& run_;
  const nn::Site& site_;
  const DistillConfig& config_;
  CacheReader& reader_;
  comm::Communicator& team_;
  Objective objective_;
  TrainingRows rows_;
  AcmLayer layer_;
  int64_t steps_;
};

}  // namespace acm::phases
