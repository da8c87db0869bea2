#include "core/ordered_sum.h"

#include <algorithm>
#include <array>

namespace acm {
namespace {

constexpr size_t kLanes = 8;     // independent sums, so that the additions need not wait for each other
constexpr size_t kBlock = 4096;  // values to a partial sum: keeps the rounding of long sums small

template <typename Value>
double sum_of_block(std::span<const Value> values) {
  std::array<double, kLanes> lanes{};
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (size_t i = whole; i < values.size(); ++i) lanes[i - whole] += static_cast<double>(values[i]) * values[i];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <typename Value>
double sum_in_order(std::span<const Value> values) {
  double sum = 0;
  for (size_t begin = 0; begin < values.size(); begin += kBlock)
    sum += sum_of_block(values.subspan(begin, std::min(kBlock, values.size() - begin)));
  return sum;
}

}  // namespace

double ordered_sum_of_squares(std::span<const float> values) { return sum_in_order(values); }
double ordered_sum_of_squares(std::span<const double> values) { return sum_in_order(values); }

}  // namespace acm
