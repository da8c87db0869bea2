#include "train/checkpoint.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "comm/current_error.h"
#include "core/file.h"
#include "train/checkpoint_files.h"

namespace acm::train {
namespace {

namespace fs = std::filesystem;

// The steps with a manifest that the root sees, the same list on every rank, newest first.
std::vector<int64_t> published_steps(const fs::path& folder, comm::Communicator& group) {
  Json list = Json::Array();
  comm::together(group, [&] {
    if (!group.is_root()) return;
    for (const int64_t step : steps_in(folder)) {
      if (has_manifest(folder / step_name(step))) list.push_back(step);
    }
  });
  std::vector<int64_t> steps;
  const Json agreed = Json::parse(comm::broadcast_string(group, list.dump()), "the list of checkpoints");
  for (const Json& step : agreed.as_array()) steps.insert(steps.begin(), step.as_int());
  return steps;
}

// On the host. The step's own tensors go on changing while the copy is written.
io::NamedTensors copied(io::NamedTensors share) {
  for (auto& [name, tensor] : share)
    tensor = tensor.to(at::kCPU, tensor.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  return share;
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path folder, comm::Communicator& group, Log& log, Retention retention,
                                 std::function<void(int64_t)> on_writing)
    : folder_(std::move(folder)), group_(group), log_(log), retention_(retention), on_writing_(std::move(on_writing)) {}

fs::path CheckpointStore::place() const { return folder_ / step_name(step_); }

void CheckpointStore::begin(int64_t step, const Parts& parts, std::optional<double> loss) {
  TORCH_CHECK(stage_ == Stage::kIdle, "a save is under way");
  watch_.restart();
  const State state = state_of(parts);
  comm::together(group_, [&] {
    if (group_.is_root()) prepare_step(folder_, step, checkpoint_bytes(state));
  });
  step_ = step;
  stage_ = Stage::kShards;
  manifest_ = {.scalars = state.scalars, .tensors = {}, .loss = loss};
  failure_.reset();
  write_in_background([this, path = place() / shard_name(group_.rank()),
                       share = copied(share_of(state.tensors, group_.rank(), group_.size()))] {
    check_finite(share, step_);
    records_ = write_shard(path, share);
  });
}

CheckpointStore::Outcome CheckpointStore::outcome() {
  if (work_.valid()) {
    if (work_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return Outcome::kBusy;
    try {
      work_.get();
    } catch (...) {
      failure_ = comm::current_error();
    }
  }
  return failure_ ? Outcome::kFailed : Outcome::kDone;
}

std::optional<CheckpointStore::Saved> CheckpointStore::advance() {
  if (stage_ == Stage::kManifest) {
    stage_ = Stage::kIdle;
    return Saved{step_, watch_.seconds()};
  }
  const std::vector<std::string> records = comm::all_gather_strings(group_, to_json(records_).dump());
  stage_ = Stage::kManifest;
  if (group_.is_root()) write_in_background([this, records] { publish(records); });
  return std::nullopt;
}

void CheckpointStore::write_in_background(std::function<void()> work) {
  const auto tell = [this](int64_t step) {
    if (on_writing_) on_writing_(step);
  };
  work_ = std::async(std::launch::async, [this, tell, work = std::move(work)] {
    tell(step_);
    try {
      work();
    } catch (...) {
      tell(0);
      throw;
    }
    tell(0);
  });
}

void CheckpointStore::publish(const std::vector<std::string>& records) {
  for (const std::string& each : records) manifest_.tensors.merge(records_from(Json::parse(each, "a shard")));
  write_manifest(place(), manifest_);
  remove_others();
}

// What was written is removed by the next save's preparation.
void CheckpointStore::give_up() {
  if (work_.valid()) work_.wait();
  outcome();
  stage_ = Stage::kIdle;
  comm::together(group_, [&] {
    if (failure_) throw Error(*failure_);
  });
  TORCH_CHECK(false, "no rank failed to save");
}

std::optional<CheckpointStore::Saved> CheckpointStore::finish() {
  while (is_saving()) {
    if (work_.valid()) work_.wait();
    const auto worst = comm::all_reduce_number(group_, static_cast<int64_t>(outcome()), comm::ReduceOp::kMax);
    if (worst == static_cast<int64_t>(Outcome::kFailed)) give_up();
    if (const auto saved = advance()) return saved;
  }
  return std::nullopt;
}

CheckpointStore::Saved CheckpointStore::save(int64_t step, const Parts& parts, std::optional<double> loss) {
  begin(step, parts, loss);
  return *finish();
}

// What is newer was passed over at loading as damaged.
void CheckpointStore::remove_others() {
  const auto steps = steps_in(folder_);
  const auto kept = kept_steps({steps.begin(), std::ranges::find(steps, step_)});
  for (const int64_t other : steps) {
    if (other == step_ || std::ranges::find(kept, other) != kept.end()) continue;
    try {
      remove_step(folder_ / step_name(other));
    } catch (const Error& failure) {
      log_.warn(failure.what());  // costs space only, and the next save tries again
    }
  }
}

// Of the steps before the one that was just saved, ascending: the newest, and the best of all.
std::vector<int64_t> CheckpointStore::kept_steps(const std::vector<int64_t>& older) const {
  const auto newest = std::min<size_t>(older.size(), static_cast<size_t>(retention_.keep_last - 1));
  std::vector<int64_t> kept(older.end() - static_cast<std::ptrdiff_t>(newest), older.end());
  if (!retention_.keep_best) return kept;
  std::optional<int64_t> best;
  double lowest = manifest_.loss.value_or(std::numeric_limits<double>::infinity());
  for (const int64_t step : older) {
    const auto loss = loss_of_step(folder_ / step_name(step));
    if (loss && *loss < lowest) best = step, lowest = *loss;
  }
  if (best) kept.push_back(*best);
  return kept;
}

std::optional<int64_t> CheckpointStore::load_latest(const Parts& parts) {
  for (const int64_t step : published_steps(folder_, group_)) {
    const fs::path step_folder = folder_ / step_name(step);
    State saved;
    try {
      comm::together(group_, [&] { saved = read_step(step_folder); });
    } catch (const Error& failure) {  // the same on every rank
      if (failure.fault() != Fault::kData) throw;
      if (group_.is_root())
        log_.warn("passing over the checkpoint of step " + std::to_string(step) + ": " + failure.what());
      continue;
    }
    comm::together(group_, [&] { restore(parts, saved, step_folder.string()); });
    return step;
  }
  return std::nullopt;
}

}  // namespace acm::train
