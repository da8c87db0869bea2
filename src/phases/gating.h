#pragma once

#include "phases/run.h"

namespace acm::phases {

// Phase 2: gates learn, from labels found on the cached activations, how many learners each token needs; learners are
// frozen. Data-parallel over rows of the cache; writes model-phase2.safetensors. Captures what the cache lacks first.
// Collective over all ranks.
train::Outcome run_gating(const Run& run);

}  // namespace acm::phases
