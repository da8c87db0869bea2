#pragma once

#include <cstdint>
#include <vector>

#include "data/image/resize.h"

namespace acm::data {

// Which pixels of a row (or column) make up each pixel of the result, and how much each weighs.
struct Taps {
  static constexpr int kFractionBits = 22;  // a weight of one is 2^22: 8-bit pixels and negative lobes fit 32 bits
  struct Span {
    int64_t first = 0, count = 0;
  };
  std::vector<Span> spans;       // one for each pixel of the result
  std::vector<int32_t> weights;  // `stride` for each pixel of the result, of which `count` are used
  int64_t stride = 0;
  const int32_t* weights_of(int64_t pixel) const { return weights.data() + pixel * stride; }
};

// The part [from, from + length) of `pixels` pixels becomes `size` pixels, of which `count` from `first` on are asked
// for.
struct Resampling {
  int64_t pixels = 0;
  double from = 0, length = 0;
  int64_t size = 0;
  int64_t first = 0, count = 0;
  // Whether the pixels stay as they are, one for one.
  bool is_copy() const { return from == 0 && length == static_cast<double>(pixels) && size == pixels; }
};

Taps taps_for(const Resampling& axis, Filter filter);

}  // namespace acm::data
