#pragma once

#include "phases/run.h"

namespace acm::phases {

// Phase 1: each site's learners are trained on the teacher's cached activations by the rank, or the team of ranks, that
// the site fell to; then rank 0 assembles model-phase1.safetensors, whose bytes depend neither on the number of ranks
// or threads nor on how the cache is cut into windows. Collective over all ranks.
train::Outcome run_distill(const Run& run);

}  // namespace acm::phases
