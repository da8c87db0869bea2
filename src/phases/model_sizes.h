#pragma once

#include <string>
#include <vector>

#include "phases/cache_plan.h"

namespace acm::phases {

// A dense model by its shapes, which are all that a cost model asks for.
struct ModelShape {
  std::string origin;                // for people: where the shapes come from
  std::vector<nn::Site> sites = {};  // in the order of execution
  int64_t site_numbers = 0;          // parameters of the sites that are selected
  int64_t tokens = 0;                // of a sample, at its sites
  int64_t numbers = 0;               // parameters, those of sites included
  int64_t macs = 0;                  // multiply-accumulates of a sample, forward, those of sites included
  // Of these, in layers before all sites that no phase trains.
  int64_t frozen_numbers = 0, frozen_macs = 0;
};
// Of the teacher, or where its file is not there yet of the settings' backbone. It is built for that.
ModelShape dense_shape(const Run& run);

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
  int64_t frozen_numbers = 0, frozen_macs = 0;  // of these, not trained
};

// All of a run's models and its cache that time, bytes and memory follow from.
struct ModelSizes {
  std::string origin;  // as in ModelShape
  int64_t tokens = 0;  // of a sample
  WholeSizes dense, acm;
  std::vector<SiteSizes> sites = {};  // selected, in the teacher's order
  CacheNeed cache = {};
};
// What the settings make of a dense model.
ModelSizes model_sizes(const Run& run, const ModelShape& dense);

}  // namespace acm::phases
