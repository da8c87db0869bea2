#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "core/log.h"
#include "train/state.h"

namespace acm::train {

// Named parts of what a checkpoint holds: {"phase", &phase}, {"optimizer", &optimizer}, ...
using Parts = std::vector<std::pair<std::string_view, Stateful*>>;

// Checkpoints of one phase (or one site of phase 1): `folder`/step-00001000/{rank-00000.safetensors, ...,
// manifest.json}. Each tensor is written once, whole, by one of the ranks that hold it; the manifest names file, shape,
// dtype and digest of each and is renamed into place after every shard is durable and was read back, so a step exists
// once its manifest does, and any number of ranks loads it. The two newest are kept.
class CheckpointStore {
 public:
  CheckpointStore(std::filesystem::path folder, comm::Communicator& group, Log& log);

  // Collective over the group. Error where any rank could not write; what was saved before stays.
  void save(int64_t step, const Parts& parts);
  // Collective. Loads the newest step that is whole on every rank, saying which and why others were passed over;
  // nothing where there is none.
  std::optional<int64_t> load_latest(const Parts& parts);

 private:
  void remove_all_but(int64_t step);

  std::filesystem::path folder_;
  comm::Communicator& group_;
  Log& log_;
};

}  // namespace acm::train
