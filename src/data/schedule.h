#pragma once

#include <cstdint>
#include <vector>

#include "core/random.h"

namespace acm::data {

// Part `index` of `count` of the global batch of `step`; count = ranks x micro-batches.
struct Slice {
  int64_t step = 0;
  int index = 0;
  int count = 1;
  int unit = 1;  // cuts fall on multiples of it: 2 keeps the pairs of mixing in one slice
};

// The half-open range of a global batch of `batch` items that slice `index` of `count` holds. Slices differ by at most
// one unit and together are the whole, in order. Error(kUsage) where there are more slices than units.
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};
Range cut(int64_t batch, int index, int count, int unit = 1);
inline Range cut(int64_t batch, const Slice& slice) { return cut(batch, slice.index, slice.count, slice.unit); }

// Which sample stands at which position of an endless sequence of shuffled epochs: a function of (seed, position)
// alone, so there is nothing to save and seeking costs nothing. Step s holds positions [s * batch, (s + 1) * batch),
// through the ends of epochs.
class Schedule {
 public:
  Schedule(int64_t samples, int64_t batch, StreamKey key, bool shuffle = true);

  std::vector<int64_t> positions(const Slice& slice) const;
  int64_t index_at(int64_t position) const;  // the sample at a position
  int64_t batch() const { return batch_; }
  // floor(epochs * samples / batch)
  static int64_t steps(double epochs, int64_t samples, int64_t batch);

 private:
  int64_t samples_, batch_;
  StreamKey key_;
  bool shuffle_;
};

}  // namespace acm::data
