#include "train/checkpoint.h"

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "core/file.h"
#include "io/safetensors.h"
#include "train/manifest.h"

namespace acm::train {
namespace {

namespace fs = std::filesystem;

std::string shard_name(int rank) {
  char name[48];
  std::snprintf(name, sizeof name, "rank-%05d.safetensors", rank);
  return name;
}

void remove_step(const fs::path& step_folder) {
  std::error_code failure;
  fs::remove(step_folder / "manifest.json", failure);  // first: a step without a manifest does not exist
  if (!failure) fs::remove_all(step_folder, failure);
  if (failure) throw errno_error("cannot remove the checkpoint " + step_folder.string(), failure.value());
}

// An empty folder for a step, and none left of saves that did not come to their end.
void prepare(const fs::path& folder, int64_t step) {
  make_folder(folder);
  for (const int64_t other : steps_in(folder)) {
    const fs::path place = folder / step_name(other);
    if (other == step || !has_manifest(place)) remove_step(place);
  }
  make_folder(folder / step_name(step));
  FileHandle(folder, FileHandle::Mode::kRead).sync();
}

// The tensors that `rank` of `size` writes: from the largest to the smallest, each to the rank with the fewest bytes.
io::NamedTensors share_of(const TensorMap& tensors, int rank, int size) {
  std::vector<std::pair<std::string, at::Tensor>> order(tensors.begin(), tensors.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second.nbytes() > b.second.nbytes(); });
  std::vector<size_t> bytes(static_cast<size_t>(size));
  io::NamedTensors share;
  for (const auto& [name, tensor] : order) {
    const auto least = std::min_element(bytes.begin(), bytes.end());
    *least += tensor.nbytes();
    if (least - bytes.begin() == rank) share[name] = tensor;
  }
  return share;
}

// Writes a shard, reads it back and compares.
TensorRecords write_shard(const fs::path& path, const io::NamedTensors& tensors) {
  TensorRecords records;
  if (tensors.empty()) return records;
  io::write_safetensors(path, tensors);
  const io::SafetensorsFile written(path);
  for (const auto& [name, tensor] : tensors) {
    const std::string expected = io::digest_of_tensor(tensor), found = io::digest_of_tensor(written.read(name));
    if (found != expected) {
      throw Error(Fault::kResource, "cannot save " + name + " in " + path.string() + ": read back, it has the digest " +
                                        found + ", expected " + expected + "; the disk does not keep what it is given");
    }
    records[name] = {path.filename().string(), expected};
  }
  return records;
}

// Everything that a checkpoint holds, verified; Error names what is damaged.
State read_step(const fs::path& step_folder) {
  const Manifest manifest = read_manifest(step_folder);
  State state{.tensors = {}, .scalars = manifest.scalars};
  std::map<std::string, io::SafetensorsFile> shards;
  for (const auto& [name, record] : manifest.tensors) {
    const io::SafetensorsFile& shard = shards.try_emplace(record.file, step_folder / record.file).first->second;
    if (!shard.contains(name)) throw Error(Fault::kData, shard.path().string() + " is damaged: it lacks " + name);
    at::Tensor& tensor = state.tensors[name] = shard.read(name);
    if (const std::string found = io::digest_of_tensor(tensor); found != record.digest) {
      throw Error(Fault::kData, shard.path().string() + " is damaged: " + name + " has the digest " + found +
                                    ", expected " + record.digest);
    }
  }
  return state;
}

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

}  // namespace

CheckpointStore::CheckpointStore(fs::path folder, comm::Communicator& group, Log& log)
    : folder_(std::move(folder)), group_(group), log_(log) {}

void CheckpointStore::save(int64_t step, const Parts& parts) {
  const fs::path place = folder_ / step_name(step);
  comm::together(group_, [&] {
    if (group_.is_root()) prepare(folder_, step);
  });
  const State state = state_of(parts);
  TensorRecords mine;
  comm::together(group_, [&] {
    mine = write_shard(place / shard_name(group_.rank()), share_of(state.tensors, group_.rank(), group_.size()));
  });
  const std::vector<std::string> written = comm::all_gather_strings(group_, to_json(mine).dump());
  comm::together(group_, [&] {
    if (!group_.is_root()) return;
    Manifest manifest{.scalars = state.scalars, .tensors = {}};
    for (const std::string& records : written) manifest.tensors.merge(records_from(Json::parse(records, "a shard")));
    write_manifest(place, manifest);
    remove_all_but(step);
  });
}

// Keeps `step` and the newest before it. What is newer was passed over at loading as damaged.
void CheckpointStore::remove_all_but(int64_t step) {
  std::vector<int64_t> steps = steps_in(folder_);
  const auto own = std::find(steps.begin(), steps.end(), step);
  steps.erase(own == steps.begin() ? own : own - 1, own + 1);
  for (const int64_t other : steps) {
    try {
      remove_step(folder_ / step_name(other));
    } catch (const Error& failure) {
      log_.warn(failure.what());  // costs space only, and the next save tries again
    }
  }
}

std::optional<int64_t> CheckpointStore::load_latest(const Parts& parts) {
  for (const int64_t step : published_steps(folder_, group_)) {
    const fs::path place = folder_ / step_name(step);
    State saved;
    try {
      comm::together(group_, [&] { saved = read_step(place); });
    } catch (const Error& failure) {  // the same on every rank
      if (failure.fault() != Fault::kData) throw;
      if (group_.is_root())
        log_.warn("passing over the checkpoint of step " + std::to_string(step) + ": " + failure.what());
      continue;
    }
    comm::together(group_, [&] { restore(parts, saved, place.string()); });
    return step;
  }
  return std::nullopt;
}

}  // namespace acm::train
