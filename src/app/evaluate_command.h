#pragma once

#include "app/load_settings.h"
#include "comm/world.h"

namespace acm::app {

// `acm_dist eval`: one model file on the test samples. Collective over all ranks; rank 0 prints.
int evaluate_command(const Options& options, const LoadedSettings& loaded, const comm::World& world,
                     comm::Groups groups, at::Device device);

}  // namespace acm::app
