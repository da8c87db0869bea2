#include "data/image/resize_taps.h"

#include <algorithm>
#include <cmath>

namespace acm::data {
namespace {

// Pixels to each side at which the filter ends, where nothing shrinks.
double support_of(Filter filter) { return filter == Filter::kBilinear ? 1.0 : 2.0; }

// The triangle, and Keys' cubic with a = -1/2.
double filter_value(Filter filter, double x) {
  x = std::abs(x);
  if (filter == Filter::kBilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

int32_t fixed_point(double weight) {
  const double scaled = weight * (1 << Taps::kFractionBits);
  return static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

}  // namespace

Taps taps_for(const Resampling& axis, Filter filter) {
  const double scale = axis.length / static_cast<double>(axis.size);
  const double stretch = std::max(scale, 1.0);
  const double support = support_of(filter) * stretch;
  Taps taps;
  taps.stride = std::min(axis.pixels, 2 * static_cast<int64_t>(std::ceil(support)) + 1);
  taps.weights.resize(static_cast<size_t>(taps.stride * axis.count));
  taps.spans.resize(static_cast<size_t>(axis.count));
  std::vector<double> values(static_cast<size_t>(taps.stride));
  for (int64_t i = 0; i < axis.count; ++i) {
    const double centre = axis.from + (static_cast<double>(axis.first + i) + 0.5) * scale;
    // Truncation, as Pillow does it: below zero both ways give zero.
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t end = std::min(axis.pixels, static_cast<int64_t>(centre + support + 0.5));
    double sum = 0;
    for (int64_t x = first; x < end; ++x) {
      const double value = filter_value(filter, (static_cast<double>(x) - centre + 0.5) * (1.0 / stretch));
      values[static_cast<size_t>(x - first)] = value;
      sum += value;
    }
    int32_t* weights = taps.weights.data() + i * taps.stride;
    for (int64_t x = first; x < end; ++x) {
      weights[x - first] = fixed_point(values[static_cast<size_t>(x - first)] * (1.0 / sum));
    }
    taps.spans[static_cast<size_t>(i)] = {first, end - first};
  }
  return taps;
}

}  // namespace acm::data
