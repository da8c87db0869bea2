#include "train/trainer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "train/not_finite.h"

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

std::vector<data::Slice> slices_of_rank(int rank, int ranks, int64_t micro_batches, int cut_unit, int64_t step) {
  const int own = static_cast<int>(micro_batches);
  std::vector<data::Slice> slices;
  for (int i = 0; i < own; ++i)
    slices.push_back({.step = step, .index = rank * own + i, .count = ranks * own, .unit = cut_unit});
  return slices;
}

std::vector<data::Slice> slices_of_rank(const comm::Communicator& group, int64_t micro_batches, int cut_unit,
                                        int64_t step) {
  return slices_of_rank(group.rank(), group.size(), micro_batches, cut_unit, step);
}

Trainer::Trainer(Phase& phase, const TrainerConfig& config, comm::Groups groups, std::filesystem::path checkpoints,
                 TrainerOutlets outlets)
    : phase_(phase),
      config_(config),
      groups_(groups),
      outlets_(std::move(outlets)),
      store_(checkpoints, groups.control, outlets_.log, config.retention, outlets_.on_writing),
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
    const bool skipped = skipped_.contains(step_);
    if (!skipped) compute_gradients();
    if (host_needs_numbers(last)) read_numbers();
    Agreement all = agree(stop);
    if (unread_ && (all.stop || all.save_due)) {
      read_numbers();
      all = agree(stop);
    }
    if (!skipped && all.not_finite && goes_back()) continue;
    if (!skipped) update();
    ++step_;
    stopped = all.stop;
    if (metrics_.steps() > 0 && (due(config_.log_every) || step_ == phase_.steps())) write_row();
    if (due(config_.evaluate_every)) evaluate();
    report_progress();
    if (outlets_.on_step) outlets_.on_step(step_);
    tend_save(all);
    const bool pause = stopped || step_ == last;
    if (pause && step_ < phase_.steps()) {
      save_at_pause(stopped);
    } else if ((due(config_.save_every) || all.save_due) && step_ < phase_.steps()) {
      begin_save();
    }
  }
  pause();
  if (stopped || step_ == phase_.steps()) outlets_.progress.finish(phase_.name());
  if (step_ < phase_.steps()) return stopped ? Outcome::kStopped : Outcome::kFinished;
  finish_save();
  phase_.finish();
  return Outcome::kFinished;
}

std::vector<data::Slice> Trainer::slices() const {
  return slices_of_rank(groups_.control, config_.micro_batches, config_.cut_unit, step_);
}

void Trainer::compute_gradients() {
  const Stopwatch watch;
  const auto slices = this->slices();
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
  numbers_.take(step_, optimizer_.updates(), total, optimizer_.gradient_norms(), groups_.data);
  unread_ = true;
  seconds_ += watch.seconds();
  note_fetching();
}

// Whether something comes behind this step that must not see what a bad step left behind. On the CPU numbers cost
// nothing to read.
bool Trainer::host_needs_numbers(int64_t last) const {
  const int64_t done = step_ + 1;
  const auto comes = [&](int64_t every) { return every > 0 && done % every == 0; };
  return !numbers_.stopped().defined() || done == last || comes(config_.log_every) || comes(config_.evaluate_every) ||
         comes(config_.save_every);
}

void Trainer::read_numbers() {
  if (!std::exchange(unread_, false)) return;
  const Stopwatch watch;
  read_ = numbers_.read();
  seconds_ += watch.seconds();
}

void Trainer::update() {
  const Stopwatch watch;
  optimizer_.step(learning_rate_.at(step_), numbers_.norms(), numbers_.stopped());
  seconds_ += watch.seconds();
  rate_ = static_cast<double>(metrics_.steps() * phase_.items_per_step()) / seconds_;
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
  at::Tensor flags = at::empty({4}, at::kLong);
  int64_t* values = flags.mutable_data_ptr<int64_t>();
  values[0] = stop.stop_requested();
  values[1] = !read_.finite;
  values[2] =
      groups_.control.is_root() && config_.save_minutes > 0 && since_save_.seconds() >= 60 * config_.save_minutes;
  values[3] = static_cast<int64_t>(store_.outcome());
  groups_.control.all_reduce(flags, comm::ReduceOp::kMax)->wait();
  return {.stop = values[0] != 0,
          .not_finite = values[1] != 0,
          .save_due = values[2] != 0,
          .save = static_cast<CheckpointStore::Outcome>(values[3])};
}

std::string Trainer::kept_text() const {
  return saved_ ? "the checkpoint of step " + std::to_string(*saved_) + " was kept" : "there is no checkpoint yet";
}

// A number of this step is not finite, and nothing was updated by it: true where training goes on, at the last
// checkpoint (at this step where there is none), and will leave the step out.
bool Trainer::goes_back() {
  pause();
  step_ = read_.step;  // earlier than the newest where the host did not look at once
  optimizer_.return_to(read_.updates);
  const double loss = comm::all_reduce_number(groups_.control, read_.loss, comm::ReduceOp::kSum);
  const double norm = norm_of_all(read_.norms);
  const std::string place = place_of_not_finite(groups_.control, optimizer_, [&] {
    reducer_.zero();
    Metrics unused;
    double sum = 0;
    for (const auto& slice : slices()) {
      const at::Tensor slice_loss = phase_.loss(slice, unused);
      slice_loss.backward();
      sum += slice_loss.item<double>();
    }
    return sum;
  });
  finish_save();
  const std::string what = name_of(phase_) + ", step " + std::to_string(step_ + 1) +
                           ": the loss or its gradient is not finite (loss " + number_text(loss) + ", gradient norm " +
                           number_text(norm) + "), first in " + place;
  if (rollbacks_ == config_.rollbacks) {
    const std::string often =
        rollbacks_ > 0 ? ", after " + std::to_string(rollbacks_) + " returns to a checkpoint" : "";
    throw Error(Fault::kInternal, what + often + "; " + kept_text() + "; lower " + std::string(phase_.name()) +
                                      ".learning_rate, look at the data of this step, or let safety.rollbacks leave it "
                                      "out")
        .mark_shared();
  }
  ++rollbacks_;
  skipped_.insert(step_);
  const int64_t bad = step_ + 1;
  if (const auto loaded = store_.load_latest(parts())) step_ = *loaded;
  if (groups_.control.is_root())
    outlets_.log.warn(what + "; going on from step " + std::to_string(step_) + ", and step " + std::to_string(bad) +
                      " will be left out (return " + std::to_string(rollbacks_) + " of " +
                      std::to_string(config_.rollbacks) + " that safety.rollbacks allows)");
  metrics_ = Metrics();
  seconds_ = waited_seconds_ = save_seconds_ = 0;
  numbers_.restart();
  read_.finite = true;
  if (outlets_.metrics_file != nullptr) outlets_.metrics_file->drop_after(phase_.name(), phase_.site(), step_);
  return true;
}

void Trainer::tend_save(const Agreement& all) {
  using Progress = CheckpointStore::Outcome;
  if (!store_.is_saving() || all.save == Progress::kBusy) return;
  const Stopwatch watch;
  try {
    if (all.save == Progress::kFailed) store_.give_up();
    note_saved(store_.advance());
  } catch (const Error& failure) {
    save_failed(failure, config_.go_on_unsaved);
  }
  save_seconds_ += watch.seconds();
}

void Trainer::begin_save() {
  pause();
  finish_save();  // never more than one: a disk that is slower than the interval holds training up
  const Stopwatch watch;
  try {
    store_.begin(step_, parts(), row_loss_);
  } catch (const Error& failure) {
    save_failed(failure, config_.go_on_unsaved);
  }
  since_save_.restart();
  save_seconds_ += watch.seconds();
}

// A stop promises that all was saved, so there a failure is never passed over.
void Trainer::save_at_pause(bool stopping) {
  pause();
  finish_save();
  try {
    note_saved(store_.save(step_, parts(), row_loss_));
  } catch (const Error& failure) {
    save_failed(failure, config_.go_on_unsaved && !stopping);
  }
}

void Trainer::finish_save() {
  const Stopwatch watch;
  try {
    note_saved(store_.finish());
  } catch (const Error& failure) {
    save_failed(failure, config_.go_on_unsaved);
  }
  save_seconds_ += watch.seconds();
}

void Trainer::note_saved(const std::optional<CheckpointStore::Saved>& saved) {
  if (!saved) return;
  saved_ = saved->step;
  if (outlets_.on_saved) outlets_.on_saved(saved->seconds);
}

void Trainer::save_failed(const Error& failure, bool may_go_on) const {
  const std::string what =
      name_of(phase_) + ", step " + std::to_string(step_) + ": " + failure.what() + "; " + kept_text();
  if (!may_go_on || failure.fault() == Fault::kInternal)
    throw Error(failure.fault(), what, failure.where()).mark_shared();
  outlets_.log.error(what + "; training goes on, as checkpoints.on_failed_save asks");
}

void Trainer::write_row() {
  const int64_t steps = metrics_.steps();
  std::map<std::string, double> figures = metrics_.take(groups_.control);
  finish_fetch_figures(figures, steps, seconds_ * groups_.control.size());
  if (const auto loss = figures.find("loss"); loss != figures.end()) row_loss_ = loss->second;
  Json row = Json::object({{"learning_rate", learning_rate_.at(step_ - 1)},
                           {"gradient_norm", norm_of_all(read_.norms)},
                           {std::string(phase_.unit()) + "_per_second", rate_}});
  if (save_seconds_ > 0) row["save_seconds"] = save_seconds_;
  append(std::move(row), figures);
  seconds_ = waited_seconds_ = save_seconds_ = 0;
}

void Trainer::evaluate() {
  pause();
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
