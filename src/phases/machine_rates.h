#pragma once

#include <filesystem>

#include "comm/communicator.h"
#include "phases/machine.h"

namespace acm::phases {

// Collective, a few seconds. Replaces the figures of `machine` that can be measured where this runs: matrix products of
// [rows, width] x [width, hidden], memory, ranks of a host (all ranks must be on one), the disk below `folder`, where a
// file of 64 MiB is written for a moment. With one rank, what ranks send each other is measured as copies through a
// buffer, and the latency stays. All ranks measure at once, and the slowest counts.
void measure(Machine& machine, comm::Communicator& group, int64_t width, int64_t hidden,
             const std::filesystem::path& folder);

}  // namespace acm::phases
