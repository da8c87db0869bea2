#pragma once

#include "data/loader.h"
#include "phases/run.h"

namespace acm::phases {

// What [augment] makes of the training samples under a key: each by its position, pairs by their step.
data::Views training_views(const Run& run, StreamKey key);

// 2 where the training samples of a step are mixed in pairs, which no cut may part; else 1.
int cut_unit(const Settings& settings, PhaseId phase);

// The training samples of a data-parallel phase, fetched ahead for the slices of this rank. The order depends on the
// seed and the phase's name; the augmentation on the seed and the position.
std::unique_ptr<data::Loader> make_sample_loader(const Run& run, PhaseId phase);

// How a step is cut for so many ranks: its first slice, the largest. Error(kUsage) where the batch cannot be cut so.
data::Slice first_slice(const Settings& settings, PhaseId phase, int ranks);
// The slices of this rank in a step, as the trainer cuts it.
std::vector<data::Slice> slices_of_rank(const Run& run, PhaseId phase);

}  // namespace acm::phases
