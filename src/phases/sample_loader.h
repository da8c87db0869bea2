#pragma once

#include "data/loader.h"
#include "phases/run.h"

namespace acm::phases {

// The training samples of a data-parallel phase, fetched ahead for the slices of this rank. The order depends on the
// seed and the phase's name; the augmentation on the seed and the position.
std::unique_ptr<data::Loader> make_sample_loader(const Run& run, PhaseId phase);

// Slices of this rank in each step: rank r holds micro-batches [r m, (r + 1) m) of ranks x m. Error(kUsage) where the
// batch has fewer items than that.
std::vector<data::Slice> slices_of_rank(const Run& run, PhaseId phase);

}  // namespace acm::phases
