#pragma once

#include "app/options.h"
#include "comm/communicator.h"

namespace acm::app {

// `acm_dist inspect PATH`: shows and verifies what stands at a path: checkpoints, segments of a cache, model files; of
// a folder, everything below it. Each byte that a digest covers is read. The exit code is 65 where anything is damaged.
int inspect_command(const Options& options, comm::Communicator& group);

}  // namespace acm::app
