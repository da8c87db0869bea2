#pragma once

#include <string>
#include <vector>

#include "phases/run.h"

namespace acm::phases {

// Phase 1: each site's learners are trained on the teacher's cached activations by the rank that the site fell to,
// without a collective among ranks; then rank 0 assembles model-phase1.safetensors, whose bytes do not depend on the
// number of ranks or threads. Captures what the cache lacks first. Collective over all ranks.
train::Outcome run_distill(const Run& run);

// Which rank trains which site of the teacher: {site name, rank}, in site order.
std::vector<std::pair<std::string, int>> site_owners(const nn::Backbone& teacher, const SurgeryConfig& surgery,
                                                     int ranks);

}  // namespace acm::phases
