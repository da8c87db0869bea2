#pragma once

#include <c10/core/Device.h>

#include "app/load_settings.h"
#include "comm/world.h"

namespace acm::app {

// `acm_dist estimate`: time, bytes and memory of each phase on given numbers of ranks, by a cost model (docs/scale.md).
// Writes nothing; --measure, which measures `device`, writes 64 MiB beside the cache for a moment. Collective over all
// ranks; rank 0 prints.
int estimate_command(const Options& options, const LoadedSettings& loaded, const comm::World& world,
                     comm::Groups groups, at::Device device);

}  // namespace acm::app
