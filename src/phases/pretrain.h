#pragma once

#include "phases/run.h"

namespace acm::phases {

// Phase 0: trains the dense backbone on the task, data-parallel, and writes model-phase0.safetensors. Collective over
// all ranks.
train::Outcome run_pretrain(const Run& run);

// The dense backbone of the settings, for the run's images, with random weights from the seed.
std::shared_ptr<nn::Backbone> new_backbone(const Run& run);

}  // namespace acm::phases
