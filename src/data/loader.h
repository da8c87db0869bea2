#pragma once

#include <c10/core/Stream.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "data/bad_samples.h"
#include "data/mixing.h"
#include "data/schedule.h"
#include "data/source.h"

namespace acm::data {

// How a rank fetches samples: the same for all its loaders.
struct Fetching {
  int threads = 1;
  BadSamples* bad_samples = nullptr;  // null: a sample that cannot be read is an error; else the next stands in for it
  std::optional<c10::Stream> copies = {};  // batches are copied to its device ahead of their use (device_copy.h)
};

// What is random in the samples that a loader serves.
struct Views {
  Views(StreamKey augmentation, std::optional<Mixing> mixing = {})
      : augmentation(augmentation), mixing(std::move(mixing)) {}
  StreamKey augmentation;        // with a sample's position: the key of its randomness
  std::optional<Mixing> mixing;  // of a step's pairs
};

// What fetching has cost.
struct FetchFigures {
  double waited_seconds = 0;  // that the caller waited for a batch
  int64_t replaced = 0;       // samples of its batches that could not be read and for which others stand in
};

// Batches of training steps, fetched ahead of their use. `order` lists the slices of one step that this rank asks for,
// in the order in which it asks (step is ignored); the loader prefetches them, and those of the following steps. A
// slice out of that order (after resuming, say) is served too: prefetching starts again from there.
//
// All threads work on one batch, sample by sample, then on the next; at most two batches (or two samples a thread,
// where that is more) are under way or ready. What a batch holds is a function of source, schedule, views and positions
// alone. An error of a sample is thrown by get(), naming the sample. The source must outlive the loader.
//
// Where batches are copied to a device, these take memory there too, beside those that it still computes with: 154 MB
// each for 256 images of 224 x 224 in float32. get() has the calling thread's current stream wait for the copy, not the
// host.
class Loader {
 public:
  Loader(const DataSource& source, Schedule schedule, Views views, std::vector<Slice> order, Fetching fetching = {});
  ~Loader();
  Loader(const Loader&) = delete;

  Batch get(const Slice& slice);
  FetchFigures take_figures();  // since the last call

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Batches of given positions, one after another, fetched ahead likewise: for capture and evaluation.
//
//   Loader of a whole source in its own order, in batches of 100:
//     const Schedule in_order(source.size(), 100, StreamKey(), false);
//     RangeLoader loader(source, in_order, StreamKey(), ranges_of(source.size(), 100), run.fetching);
//     for (...) { const Batch batch = loader.next(); ... }
//
// A range must not be empty. Where views mix, a range is a step (or a part of one, cut at even positions).
class RangeLoader {
 public:
  RangeLoader(const DataSource& source, Schedule schedule, Views views, std::vector<Range> ranges,
              Fetching fetching = {});
  ~RangeLoader();
  RangeLoader(const RangeLoader&) = delete;

  Batch next();                  // of the next range; TORCH_CHECK where there is none
  FetchFigures figures() const;  // until now

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// [0, batch), [batch, 2 batch), ... to the end of so many positions, which may cut the last short; every `stride`-th of
// them from number `first` on.
std::vector<Range> ranges_of(int64_t positions, int64_t batch, int64_t first = 0, int64_t stride = 1);

// The batch of given positions, fetched here and now, on this thread: for one-off use.
Batch load_positions(const DataSource& source, const Schedule& schedule, const Views& views,
                     const std::vector<int64_t>& positions, BadSamples* bad_samples = nullptr);

}  // namespace acm::data
