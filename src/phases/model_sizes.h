#pragma once

#include <vector>

#include "phases/cache_plan.h"

namespace acm::phases {

// One site with its learners and gate. Multiply-accumulates and values are those of a token.
struct SiteSizes {
  int64_t width = 0, hidden = 0;                  // of the learners together
  int64_t learner_macs = 0;                       // of all learners, forward
  int64_t gate_macs = 0, first_gate_macs = 0;     // forward; of its first layer
  int64_t learner_numbers = 0, gate_numbers = 0;  // parameters
};

// A model, dense or with ACMs at the selected sites: `macs` of a sample, forward, where every learner runs; `values`,
// of a token, are the numbers that enter its sites, stand in their hidden layers and leave them.
struct WholeSizes {
  int64_t numbers = 0;  // parameters
  int64_t macs = 0, values = 0;
};

// All of a run's models and its cache that time, bytes and memory follow from.
struct ModelSizes {
  int64_t tokens = 0;  // of a sample
  WholeSizes dense, acm;
  std::vector<SiteSizes> sites;  // selected, in the teacher's order
  CacheNeed cache;
};
// Of the teacher, or where its file is not there yet of the settings' backbone. It is built, and converted, for that.
ModelSizes model_sizes(const Run& run);

}  // namespace acm::phases
