#include "train/trainer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "core/stopwatch.h"

namespace acm::train {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string name_of(const Phase& phase) {
  std::string text = "phase " + std::string(phase.name());
  if (!phase.site().empty()) text += ", site " + std::string(phase.site());
  return text;
}

double norm_of_all(const std::vector<double>& norms) {
  double sum = 0;
  for (const double norm : norms) sum += norm * norm;
  return std::sqrt(sum);
}

// Figures of metrics that count fetching, as sums over ranks and steps, made into what a row shows: the share of the
// ranks' time that was spent waiting for samples, and the samples replaced since the last row.
constexpr std::string_view kWaited = "data_wait", kReplaced = "replaced_samples";

void finish_fetch_figures(std::map<std::string, double>& figures, int64_t steps, double rank_seconds) {
  if (const auto waited = figures.find(std::string(kWaited)); waited != figures.end())
    waited->second *= static_cast<double>(steps) / rank_seconds;
  const auto replaced = figures.find(std::string(kReplaced));
  if (replaced == figures.end()) return;
  replaced->second *= static_cast<double>(steps);
  if (replaced->second == 0) figures.erase(replaced);
}

}  // namespace

std::vector<data::Slice> slices_of_rank(const comm::Communicator& group, int64_t micro_batches, int cut_unit,
                                        int64_t step) {
  const int own = static_cast<int>(micro_batches);
  std::vector<data::Slice> slices;
  for (int i = 0; i < own; ++i)
    slices.push_back({.step = step, .index = group.rank() * own + i, .count = group.size() * own, .unit = cut_unit});
  return slices;
}

Trainer::Trainer(Phase& phase, const TrainerConfig& config, comm::Groups groups, std::filesystem::path checkpoints,
                 TrainerOutlets outlets)
    : phase_(phase),
      config_(config),
      groups_(groups),
      outlets_(std::move(outlets)),
      store_(checkpoints, groups.control, outlets_.log),
      optimizer_(phase.parameter_groups()),
      reducer_(optimizer_.parameters(), groups.data, GradientReducer::kBucketBytes, config.order),
      learning_rate_{.peak = config.learning_rate, .warmup_steps = config.warmup_steps, .steps = phase.steps()} {
  TORCH_CHECK(config_.micro_batches > 0, "a step needs at least one micro-batch");
  saved_ = store_.load_latest(parts());
  step_ = saved_.value_or(0);
  started_ = saved_.has_value();
  const std::string reason = saved_ ? "the newest whole checkpoint" : "no checkpoint to start from";
  outlets_.log.info(name_of(phase_) + ": starting at step " + std::to_string(step_) + " of " +
                    std::to_string(phase_.steps()) + " (" + reason + " in " + checkpoints.string() + ")");
  if (outlets_.metrics_file != nullptr) outlets_.metrics_file->drop_after(phase_.name(), phase_.site(), step_);
}

Outcome Trainer::run(std::stop_token stop, int64_t until_step) {
  const int64_t last = std::min(until_step, phase_.steps());
  bool stopped = false;
  if (!std::exchange(started_, true)) phase_.start();
  while (step_ < last && !stopped) {
    take_step();
    ++step_;
    const Agreement all = agree(stop);
    if (all.not_finite) fail_not_finite();
    stopped = all.stop;
    if (due(config_.log_every) || step_ == phase_.steps()) write_row();
    if (due(config_.evaluate_every)) evaluate();
    report_progress();
    if (outlets_.on_step) outlets_.on_step(step_);
    const bool pause = stopped || step_ == last;
    if ((due(config_.save_every) || pause) && step_ < phase_.steps()) save();
  }
  if (stopped || step_ == phase_.steps()) outlets_.progress.finish(phase_.name());
  if (step_ < phase_.steps()) return stopped ? Outcome::kStopped : Outcome::kFinished;
  phase_.finish();
  return Outcome::kFinished;
}

void Trainer::take_step() {
  const Stopwatch watch;
  const auto slices = slices_of_rank(groups_.control, config_.micro_batches, config_.cut_unit, step_);
  phase_.begin_step(slices);
  reducer_.zero();
  at::Tensor total;
  for (size_t i = 0; i < slices.size(); ++i) {
    metrics_.begin_slice(i);
    const at::Tensor loss = phase_.loss(slices[i], metrics_);
    if (i + 1 == slices.size()) reducer_.arm();
    loss.backward();
    reducer_.end_slice();
    total = total.defined() ? total.add(loss.detach()) : loss.detach();
  }
  reducer_.finish();
  metrics_.end_step();
  loss_ = total.item<double>();
  norms_ = optimizer_.gradient_norms();
  finite_ = std::isfinite(loss_) && std::isfinite(norm_of_all(norms_));
  if (finite_) optimizer_.step(learning_rate_.at(step_), norms_);
  seconds_ += watch.seconds();
  rate_ = static_cast<double>(metrics_.steps() * phase_.items_per_step()) / seconds_;
  note_fetching();
}

void Trainer::note_fetching() {
  const auto figures = phase_.take_fetch_figures();
  if (!figures) return;
  metrics_.add(kWaited, figures->waited_seconds);
  metrics_.add(kReplaced, static_cast<double>(figures->replaced));
  waited_seconds_ += figures->waited_seconds;
  wait_share_ = waited_seconds_ / seconds_;
}

Trainer::Agreement Trainer::agree(const std::stop_token& stop) {
  at::Tensor flags = at::empty({2}, at::kLong);
  int64_t* values = flags.mutable_data_ptr<int64_t>();
  values[0] = stop.stop_requested();
  values[1] = !finite_;
  groups_.control.all_reduce(flags, comm::ReduceOp::kMax)->wait();
  return {.stop = values[0] != 0, .not_finite = values[1] != 0};
}

void Trainer::fail_not_finite() {
  const double loss = comm::all_reduce_number(groups_.control, loss_, comm::ReduceOp::kSum);
  const std::string kept =
      saved_ ? "the checkpoint of step " + std::to_string(*saved_) + " was kept" : "there is no checkpoint yet";
  throw Error(Fault::kInternal, name_of(phase_) + ", step " + std::to_string(step_) +
                                    ": the loss or its gradient is not finite (loss " + number_text(loss) +
                                    ", gradient norm " + number_text(norm_of_all(norms_)) + "); " + kept + "; lower " +
                                    std::string(phase_.name()) + ".learning_rate or look at the data of this step")
      .mark_shared();
}

void Trainer::save() {
  store_.save(step_, parts());
  saved_ = step_;
}

void Trainer::write_row() {
  const int64_t steps = metrics_.steps();
  std::map<std::string, double> figures = metrics_.take(groups_.control);
  finish_fetch_figures(figures, steps, seconds_ * groups_.control.size());
  if (const auto loss = figures.find("loss"); loss != figures.end()) row_loss_ = loss->second;
  append(Json::object({{"learning_rate", learning_rate_.at(step_ - 1)},
                       {"gradient_norm", norm_of_all(norms_)},
                       {std::string(phase_.unit()) + "_per_second", rate_}}),
         figures);
  seconds_ = waited_seconds_ = 0;
}

void Trainer::evaluate() {
  Metrics metrics;
  phase_.evaluate(step_, metrics);
  append(Json::object({{"evaluation", true}}), metrics.take(groups_.control));
}

void Trainer::append(Json row, const std::map<std::string, double>& figures) {
  if (outlets_.metrics_file == nullptr) return;
  row["phase"] = phase_.name();
  if (!phase_.site().empty()) row["site"] = phase_.site();
  row["step"] = step_;
  for (const auto& [name, value] : figures) row[name] = value;
  outlets_.metrics_file->append(row);
}

void Trainer::report_progress() {
  outlets_.progress.report({.phase = phase_.name(),
                            .done = step_,
                            .total = phase_.steps(),
                            .unit = "steps",
                            .rate = rate_,
                            .rate_unit = phase_.unit(),
                            .loss = row_loss_.value_or(0),
                            .has_loss = row_loss_.has_value(),
                            .data_wait = wait_share_,
                            .note = phase_.site().empty() ? "" : "site " + std::string(phase_.site())});
}

}  // namespace acm::train
