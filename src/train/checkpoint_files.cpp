#include "train/checkpoint_files.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "core/file.h"

namespace acm::train {
namespace {

namespace fs = std::filesystem;

// A tensor's line in the shard's header and in the manifest.
constexpr int64_t kBytesOfALine = 512;

void check_space(const fs::path& folder, int64_t step, int64_t bytes) {
  const int64_t free = free_bytes(folder);
  if (bytes <= free) return;
  throw Error(Fault::kResource, "cannot save the checkpoint of step " + std::to_string(step) + " in " +
                                    folder.string() + ": it takes " + std::to_string(bytes) + " bytes, and " +
                                    std::to_string(free) +
                                    " are free; make room, or set a smaller checkpoints.keep_last");
}

}  // namespace

std::string shard_name(int rank) {
  char name[48];
  std::snprintf(name, sizeof name, "rank-%05d.safetensors", rank);
  return name;
}

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

int64_t checkpoint_bytes(const State& state) {
  int64_t bytes = kBytesOfALine * static_cast<int64_t>(2 * state.tensors.size() + state.scalars.size() + 1);
  for (const auto& [name, tensor] : state.tensors) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

void remove_step(const fs::path& step_folder) {
  std::error_code failure;
  fs::remove(step_folder / "manifest.json", failure);
  if (!failure) fs::remove_all(step_folder, failure);
  if (failure) throw errno_error("cannot remove the checkpoint " + step_folder.string(), failure.value());
}

void prepare_step(const fs::path& folder, int64_t step, int64_t bytes) {
  make_folder(folder);
  for (const int64_t other : steps_in(folder)) {
    const fs::path place = folder / step_name(other);
    if (other == step || !has_manifest(place)) remove_step(place);
  }
  check_space(folder, step, bytes);
  make_folder(folder / step_name(step));
  FileHandle(folder, FileHandle::Mode::kRead).sync();
}

void check_finite(const io::NamedTensors& tensors, int64_t step) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point() || std::isfinite(tensor.sum().item<double>())) continue;
    if (tensor.isfinite().all().item<bool>()) continue;  // only the sum is too large
    throw Error(Fault::kInternal, "cannot save the checkpoint of step " + std::to_string(step) + ": " + name +
                                      " holds a number that is not finite");
  }
}

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

}  // namespace acm::train
