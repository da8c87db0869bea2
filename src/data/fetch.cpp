#include "data/fetch.h"

#include "core/error.h"

namespace acm::data {
namespace {

// As many damaged files in a row are no accident: a wrong folder, a disk that fails, a decoder that is missing.
constexpr size_t kMostInARow = 100;

}  // namespace

Fetched fetch_sample(const DataSource& source, const Schedule& schedule, StreamKey augmentation, int64_t position,
                     bool skip) {
  const StreamKey key = augmentation.with(static_cast<uint64_t>(position));
  Fetched out;
  for (int64_t index = schedule.index_at(position);; index = (index + 1) % source.size()) {
    try {
      out.sample = source.get(index, key);
      out.sample.index = index;
      out.sample.position = position;
      return out;
    } catch (const Error& error) {
      const std::string sample = "sample " + std::to_string(index);
      if (!skip || error.fault() != Fault::kData)
        throw Error(error.fault(),
                    "cannot load " + sample + " (position " + std::to_string(position) + "): " + error.what());
      out.skipped.push_back(sample + " cannot be read, the next stands in for it: " + error.what());
      if (out.skipped.size() == kMostInARow)
        throw Error(Fault::kData, "cannot load the sample of position " + std::to_string(position) + ": " +
                                      std::to_string(kMostInARow) +
                                      " samples in a row cannot be read; of the last: " + error.what());
    }
  }
}

Batch make_batch(const DataSource& source, const Schedule& schedule, const Views& views,
                 std::span<const Sample> samples) {
  Batch batch = source.collate(samples);
  if (views.mixing) views.mixing->apply(batch, samples.front().position / schedule.batch());
  return batch;
}

}  // namespace acm::data
