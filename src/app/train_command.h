#pragma once

#include "app/load_settings.h"
#include "app/signals.h"
#include "comm/world.h"

namespace acm::app {

// `acm_dist --phase ...`: everything between a checked command line and an exit code. Models live on
// `device`, and so do the tensors that groups.data carries. Collective over all ranks.
int train_command(const Options& options, const LoadedSettings& loaded, comm::World& world, comm::Groups groups,
                  StopSignals& signals, at::Device device);

}  // namespace acm::app
