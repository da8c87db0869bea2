#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "train/state_visitors.h"

namespace acm::train {

// Where a tensor of a checkpoint lies, and the digest of its values, shape and dtype.
struct TensorRecord {
  std::string file, digest;
};
using TensorRecords = std::map<std::string, TensorRecord>;

// manifest.json of a checkpoint's folder: with it the step exists. It carries a digest of its own content.
struct Manifest {
  ScalarMap scalars;
  TensorRecords tensors;
  std::optional<double> loss = std::nullopt;  // of the rows before it; for keeping the best
};

Json to_json(const TensorRecords& records);
TensorRecords records_from(const Json& json);

bool has_manifest(const std::filesystem::path& step_folder);
void write_manifest(const std::filesystem::path& step_folder, const Manifest& manifest);
// Error(kData) where it is damaged, Error(kUsage) where it is of another format.
Manifest read_manifest(const std::filesystem::path& step_folder);
// The loss that a step's manifest notes; nothing where there is none or the manifest cannot be read.
std::optional<double> loss_of_step(const std::filesystem::path& step_folder);

// "step-00001000", and the steps that have such a folder, lowest first.
std::string step_name(int64_t step);
std::vector<int64_t> steps_in(const std::filesystem::path& folder);

}  // namespace acm::train
