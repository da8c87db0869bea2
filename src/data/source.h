#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/json.h"
#include "core/random.h"
#include "data/batch.h"

namespace acm::data {

struct Sample {
  at::Tensor input;  // without the batch axis, float32
  int64_t label = 0;
  int64_t index = 0;     // in its source
  int64_t position = 0;  // in the schedule that asked for it
};

// A finite, indexable set of samples. get() may be called from any thread; `augmentation` drives whatever is random in
// the sample, so the same (index, key) always gives the same values.
class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual int64_t size() const = 0;
  virtual Sample get(int64_t index, StreamKey augmentation) const = 0;
  virtual Batch collate(std::span<const Sample> samples) const = 0;
  // The same samples as evaluation sees them, of the same files; null where nothing here is augmented.
  virtual std::unique_ptr<DataSource> unaugmented() const { return nullptr; }

  virtual int64_t classes() const = 0;
  // Channels, height and width of an input.
  virtual std::array<int64_t, 3> input_shape() const = 0;
  // What the data are, for cache keys and fingerprints: sorted relative names and sizes, preprocessing. No absolute
  // path.
  virtual Json identity() const = 0;
  // How inputs were made from files (mean, std, size, ...): stored in the model file.
  virtual Json preprocessing() const = 0;
};

}  // namespace acm::data
