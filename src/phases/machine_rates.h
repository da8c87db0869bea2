#pragma once

#include <c10/core/Device.h>

#include <filesystem>

#include "comm/communicator.h"
#include "phases/machine.h"

namespace acm::phases {

// Collective, a few seconds. Replaces the figures of `machine` that can be measured where this runs: on the device
// matrix products of [rows, width] x [width, hidden] and memory; the disk below `folder`, where a file of 64 MiB is
// written for a moment; and where the device is the CPU, what ranks send each other (all must be on one host; with one,
// copies through a buffer, and the latency stays). All ranks measure at once, and the slowest counts.
void measure(Machine& machine, comm::Communicator& group, at::Device device, int64_t width, int64_t hidden,
             const std::filesystem::path& folder);

}  // namespace acm::phases
