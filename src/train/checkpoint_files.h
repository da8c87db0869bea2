#pragma once

#include <filesystem>

#include "io/safetensors.h"
#include "train/manifest.h"

namespace acm::train {

// What a checkpoint is on the disk; none of this is collective.

// "rank-00003.safetensors"
std::string shard_name(int rank);

// The tensors that `rank` of `size` writes: from the largest to the smallest, each to the rank with the fewest bytes.
io::NamedTensors share_of(const TensorMap& tensors, int rank, int size);

// Bytes that a checkpoint of this state takes on the disk, from above.
int64_t checkpoint_bytes(const State& state);

// An empty folder for a step, and none left of saves that did not come to their end. Error(kResource) where `bytes`
// are more than are free.
void prepare_step(const std::filesystem::path& folder, int64_t step, int64_t bytes);

// Removes a step's folder, its manifest first: a step without one does not exist.
void remove_step(const std::filesystem::path& step_folder);

// Error(kInternal) names a tensor that holds a number which is not finite: nobody could go on from it.
void check_finite(const io::NamedTensors& tensors, int64_t step);

// Writes a shard, reads it back and compares.
TensorRecords write_shard(const std::filesystem::path& path, const io::NamedTensors& tensors);

// Everything that a checkpoint holds, verified; Error(kData) names the manifest, or the shard and tensor, that is
// damaged.
State read_step(const std::filesystem::path& step_folder);

}  // namespace acm::train
