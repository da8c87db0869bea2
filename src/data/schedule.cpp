#include "data/schedule.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "core/quotient.h"

namespace acm::data {

Range cut(int64_t batch, int index, int count, int unit) {
  TORCH_CHECK(index >= 0 && index < count, "slice ", index, " of ", count);
  const int64_t units = quotient_up(batch, unit);  // the last may be cut short
  if (count > units) {
    throw Error(Fault::kUsage, "cannot cut a batch of " + std::to_string(batch) + " samples into " +
                                   std::to_string(count) + " slices: there are more slices than " +
                                   (unit == 2 ? "pairs of samples" : "samples") +
                                   "; use fewer ranks or micro-batches, or a larger batch");
  }
  const int64_t share = units / count, longer = units % count;  // the first `longer` slices hold one more
  const int64_t begin = index * share + std::min<int64_t>(index, longer);
  const int64_t end = begin + share + (index < longer ? 1 : 0);
  return {begin * unit, std::min(end * unit, batch)};
}

Schedule::Schedule(int64_t samples, int64_t batch, StreamKey key, bool shuffle)
    : samples_(samples), batch_(batch), key_(key), shuffle_(shuffle) {
  TORCH_CHECK(samples > 0 && batch > 0, "a schedule needs samples and a batch size, got ", samples, " and ", batch);
}

std::vector<int64_t> Schedule::positions(const Slice& slice) const {
  const Range range = cut(batch_, slice);
  std::vector<int64_t> out;
  for (int64_t i = range.begin; i < range.end; ++i) out.push_back(slice.step * batch_ + i);
  return out;
}

int64_t Schedule::index_at(int64_t position) const {
  const int64_t epoch = position / samples_, place = position % samples_;
  return shuffle_ ? Permutation(samples_, key_.with(static_cast<uint64_t>(epoch)))(place) : place;
}

int64_t Schedule::steps(double epochs, int64_t samples, int64_t batch) {
  // 0.29 x 100 is 28.999999999999996 in binary: a hair below a whole step is that step.
  constexpr double kHair = 1e-9;
  return static_cast<int64_t>(std::floor(epochs * static_cast<double>(samples) / static_cast<double>(batch) + kHair));
}

}  // namespace acm::data
