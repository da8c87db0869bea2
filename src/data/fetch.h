#pragma once

#include <string>
#include <vector>

#include "data/loader.h"

namespace acm::data {

// A sample, and the sentences about those that could not be read before it.
struct Fetched {
  Sample sample;
  std::vector<std::string> skipped;
};

// The sample that stands at a position of the schedule. With `skip`, one that cannot be read (Error(kData)) is replaced
// by the next index of the source. Error names the sample and its position; also where 100 in a row cannot be read.
Fetched fetch_sample(const DataSource& source, const Schedule& schedule, StreamKey augmentation, int64_t position,
                     bool skip);

// The batch of samples at consecutive positions, mixed where the views mix.
Batch make_batch(const DataSource& source, const Schedule& schedule, const Views& views,
                 std::span<const Sample> samples);

}  // namespace acm::data
