#include "data/loader.h"

#include <algorithm>
#include <utility>

#include "data/batch_queue.h"
#include "data/device_copy.h"
#include "data/fetch.h"

namespace acm::data {
namespace {

bool same_part(const Slice& a, const Slice& b) { return a.index == b.index && a.count == b.count && a.unit == b.unit; }

}  // namespace

// Batches are numbered along the order: order[number % size] of step number / size.
struct Loader::Impl {
  Impl(const DataSource& source, Schedule schedule, Views views, std::vector<Slice> order, Fetching fetching)
      : source_(source),
        schedule_(schedule),
        views_(views),
        fetching_(fetching),
        order_(std::move(order)),
        queue_(source, schedule, std::move(views), fetching,
               [this](int64_t number) { return schedule_.positions(slice_at(number)); }) {}

  Batch get(const Slice& slice) {
    if (next_ > 0 && slice_at(next_).step == slice.step && same_part(slice_at(next_), slice))
      return queue_.get(next_++);
    for (size_t i = 0; i < order_.size(); ++i) {
      if (!same_part(order_[i], slice)) continue;
      next_ = slice.step * static_cast<int64_t>(order_.size()) + static_cast<int64_t>(i);
      return queue_.get(next_++);
    }
    // Of no place in the order: there is nothing to prefetch after it.
    Batch batch = load_positions(source_, schedule_, views_, schedule_.positions(slice), fetching_.bad_samples);
    if (fetching_.copies) send(batch, fetching_.copies->device());
    return batch;
  }

  Slice slice_at(int64_t number) const {
    const auto size = static_cast<int64_t>(order_.size());
    Slice slice = order_[static_cast<size_t>(number % size)];
    slice.step = number / size;
    return slice;
  }

  const DataSource& source_;
  const Schedule schedule_;
  const Views views_;
  const Fetching fetching_;
  const std::vector<Slice> order_;
  int64_t next_ = 0;  // that the caller should ask for
  FetchFigures taken_;
  BatchQueue queue_;  // last: its threads use the order
};

Loader::Loader(const DataSource& source, Schedule schedule, Views views, std::vector<Slice> order, Fetching fetching)
    : impl_(std::make_unique<Impl>(source, std::move(schedule), std::move(views), std::move(order), fetching)) {}
Loader::~Loader() = default;

Batch Loader::get(const Slice& slice) { return impl_->get(slice); }
FetchFigures Loader::take_figures() {
  const FetchFigures now = impl_->queue_.figures(), before = std::exchange(impl_->taken_, now);
  return {.waited_seconds = now.waited_seconds - before.waited_seconds, .replaced = now.replaced - before.replaced};
}

struct RangeLoader::Impl {
  Impl(const DataSource& source, Schedule schedule, Views views, std::vector<Range> ranges, Fetching fetching)
      : ranges_(std::move(ranges)),
        queue_(source, std::move(schedule), std::move(views), fetching,
               [this](int64_t number) { return positions_of(number); }) {
    queue_.start_at(0);
  }

  std::vector<int64_t> positions_of(int64_t number) const {
    std::vector<int64_t> positions;
    if (number >= static_cast<int64_t>(ranges_.size())) return positions;
    const Range range = ranges_[static_cast<size_t>(number)];
    for (int64_t position = range.begin; position < range.end; ++position) positions.push_back(position);
    return positions;
  }

  const std::vector<Range> ranges_;
  int64_t next_ = 0;
  BatchQueue queue_;  // last: its threads use the ranges
};

RangeLoader::RangeLoader(const DataSource& source, Schedule schedule, Views views, std::vector<Range> ranges,
                         Fetching fetching)
    : impl_(std::make_unique<Impl>(source, std::move(schedule), std::move(views), std::move(ranges), fetching)) {}
RangeLoader::~RangeLoader() = default;

Batch RangeLoader::next() { return impl_->queue_.get(impl_->next_++); }
FetchFigures RangeLoader::figures() const { return impl_->queue_.figures(); }

std::vector<Range> ranges_of(int64_t positions, int64_t batch, int64_t first, int64_t stride) {
  std::vector<Range> ranges;
  for (int64_t number = first; number * batch < positions; number += stride)
    ranges.push_back({number * batch, std::min((number + 1) * batch, positions)});
  return ranges;
}

Batch load_positions(const DataSource& source, const Schedule& schedule, const Views& views,
                     const std::vector<int64_t>& positions, BadSamples* bad_samples) {
  std::vector<Sample> samples;
  for (const int64_t position : positions) {
    Fetched fetched = fetch_sample(source, schedule, views.augmentation, position, bad_samples != nullptr);
    if (!fetched.skipped.empty()) bad_samples->note(fetched.skipped);
    samples.push_back(std::move(fetched.sample));
  }
  return make_batch(source, schedule, views, samples);
}

}  // namespace acm::data
