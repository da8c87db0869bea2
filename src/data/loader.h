#pragma once

#include <memory>
#include <vector>

#include "data/schedule.h"
#include "data/source.h"

namespace acm::data {

// Fetches batches ahead of their use. `order` lists the slices of one step that this rank asks for, in the order in
// which it asks (index and count; step is ignored); the loader prefetches them, and those of the following steps, on
// its own threads into a bounded queue. A slice out of that order (after resuming, say) is served too: prefetching
// starts again from there. An error of a sample is thrown by get() with the sample's index in its message.
class Loader {
 public:
  // `augmentation` keys each sample's randomness together with its position; source must outlive the loader.
  Loader(const DataSource& source, Schedule schedule, StreamKey augmentation, std::vector<Slice> order,
         int threads = 1);
  ~Loader();
  Loader(const Loader&) = delete;

  Batch get(const Slice& slice);
  // Seconds that get() has waited for data since the last call of this member.
  double take_waited_seconds();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The batch of given positions, fetched here and now: for capture and evaluation.
Batch load_positions(const DataSource& source, const Schedule& schedule, StreamKey augmentation,
                     const std::vector<int64_t>& positions);

}  // namespace acm::data
