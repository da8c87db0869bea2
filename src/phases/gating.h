#pragma once

#include <vector>

#include "acm/acm_layer.h"
#include "phases/run.h"

namespace acm::phases {

// Phase 2: gates learn, from labels found on the cached activations, how many learners each token needs; learners are
// frozen. Data-parallel over rows of the cache; writes model-phase2.safetensors. Captures what the cache lacks first.
// Collective over all ranks.
train::Outcome run_gating(const Run& run);

// The gates that [gate] gives a model whose learners have these shapes, with the hidden width that was left to the
// program; the dense model costs so many multiply-accumulates for a sample of so many tokens.
GateConfig gates_for(const Settings& settings, const std::vector<AcmShape>& shapes, int64_t tokens, int64_t dense_macs);

}  // namespace acm::phases
