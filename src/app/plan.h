#pragma once

#include <string>
#include <vector>

#include "comm/world.h"
#include "phases/run.h"

namespace acm::app {

// The phases that --phase asks for, in order. "all" leaves out 0 where the settings name pretrained weights.
std::vector<phases::PhaseId> wanted_phases(const std::string& phase, const phases::Settings& settings);

// Error(kUsage) where a phase's input model is not there and no phase before it in `wanted` makes it; names the command
// that does.
void check_inputs(const phases::Run& run, const std::vector<phases::PhaseId>& wanted, const std::string& config);

// What a run on so many ranks would do: data, and for each phase its steps, its slices, the cache and its windows, who
// trains what and how evenly. Writes nothing.
std::string plan_of(const phases::Run& run, const std::vector<phases::PhaseId>& wanted, int ranks);

}  // namespace acm::app
