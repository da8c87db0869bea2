#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "data/image/augment.h"

namespace acm::data {
namespace {

constexpr int kPasses = 3;
constexpr size_t kChunk = 64;  // values that are filtered at once

// A box of radius `whole` + a share of the next pixel on each side; weights in 24-bit fixed point.
struct BoxFilter {
  int64_t whole;
  uint32_t inner, outer;
};

// The box whose third power has the variance of a Gaussian: golden/images/augmentation gives the formula.
BoxFilter filter_of(double sigma) {
  const double variance = sigma * sigma / kPasses;
  const double whole = std::floor((std::sqrt(12 * variance + 1) - 1) / 2);
  const double share =
      (2 * whole + 1) * (whole * (whole + 1) - 3 * variance) / (6 * (variance - (whole + 1) * (whole + 1)));
  const double unit = static_cast<double>(1 << 24), length = 2 * (whole + share) + 1;
  const auto inner = static_cast<uint32_t>(unit / length);
  const auto outer = static_cast<uint32_t>((unit - (2 * whole + 1) * inner) / 2);
  return {static_cast<int64_t>(whole), inner, outer};
}

// A line of `steps` x `values` numbers with room for the filter at both ends, where the first and last step repeat.
class Line {
 public:
  Line(const BoxFilter& filter, int64_t steps, int64_t values)
      : filter_(filter), margin_(filter.whole + 1), steps_(steps), values_(values) {
    const auto size = static_cast<size_t>((steps + 2 * margin_) * values) + kChunk;  // the last chunk runs over the end
    from_.resize(size);
    to_.resize(size);
  }

  uint8_t* step(int64_t number) { return from_.data() + (margin_ + number) * values_; }

  void blur() {
    for (int pass = 0; pass < kPasses; ++pass) {
      repeat_ends();
      filter_once();
      std::swap(from_, to_);
    }
  }

 private:
  void repeat_ends() {
    for (int64_t i = 1; i <= margin_; ++i) {
      std::copy_n(step(0), values_, step(-i));
      std::copy_n(step(steps_ - 1), values_, step(steps_ - 1 + i));
    }
  }

  void filter_once() {
    for (int64_t at = 0; at < steps_ * values_; at += kChunk) {
      std::array<uint16_t, kChunk> sums = {};  // of at most 2 whole + 1 bytes
      for (int64_t i = -filter_.whole; i <= filter_.whole; ++i) add(step(i) + at, sums);
      weigh(sums, step(-margin_) + at, step(margin_) + at, to_.data() + margin_ * values_ + at);
    }
  }

  // Loops of fixed length over memory that does not overlap: the compiler turns them into vector instructions.
  static void add(const uint8_t* __restrict from, std::array<uint16_t, kChunk>& sums) {
    for (size_t i = 0; i < kChunk; ++i) sums[i] = static_cast<uint16_t>(sums[i] + from[i]);
  }

  void weigh(const std::array<uint16_t, kChunk>& sums, const uint8_t* __restrict before,
             const uint8_t* __restrict after, uint8_t* __restrict to) const {
    const uint32_t inner = filter_.inner, outer = filter_.outer;
    for (size_t i = 0; i < kChunk; ++i) {
      const uint32_t ends = static_cast<uint32_t>(before[i]) + after[i];
      to[i] = static_cast<uint8_t>((inner * sums[i] + outer * ends + (1u << 23)) >> 24);
    }
  }

  const BoxFilter filter_;
  const int64_t margin_, steps_, values_;
  std::vector<uint8_t> from_, to_;
};

}  // namespace

// Along a row a step is a pixel of three values; along the columns it is a row.
void blur(Image& image, double sigma) {
  const BoxFilter filter = filter_of(sigma);
  const int64_t row_values = image.width * 3;
  Line row(filter, image.width, 3), columns(filter, image.height, row_values);
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* values = image.pixels.data() + y * row_values;
    std::copy_n(values, row_values, row.step(0));
    row.blur();
    std::copy_n(row.step(0), row_values, values);
  }
  std::copy_n(image.pixels.data(), row_values * image.height, columns.step(0));
  columns.blur();
  std::copy_n(columns.step(0), row_values * image.height, image.pixels.data());
}

}  // namespace acm::data
