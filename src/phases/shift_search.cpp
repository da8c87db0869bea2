#include "phases/shift_search.h"

#include <algorithm>
#include <cmath>

namespace acm::phases {
namespace {

// Logits differ by a few units, so this far out every gate chooses as much, or as little, as it may.
constexpr double kFarthest = 4096;
constexpr int kProbes = 30;  // shares that jump over the wanted one end the search here

}  // namespace

double ShiftSearch::share_at(double shift) {
  const auto found = seen_.find(shift);
  return found != seen_.end() ? found->second : seen_.emplace(shift, measure_(shift)).first->second;
}

ShiftSearch::Seen::const_iterator ShiftSearch::above(double wanted) const {
  return std::ranges::find_if(seen_, [&](const auto& item) { return item.second >= wanted; });
}

ShiftedShare ShiftSearch::nearest(double wanted) const {
  const auto distance = [&](const auto& item) { return std::abs(item.second - wanted); };
  const auto best = std::ranges::min_element(seen_, {}, distance);
  return {best->first, best->second};
}

bool ShiftSearch::is_met(double wanted) const { return std::abs(nearest(wanted).share - wanted) <= tolerance_; }

bool ShiftSearch::bracket(double wanted) {
  share_at(0);
  for (double step = 0.25; !is_met(wanted); step *= 2) {
    const auto high = above(wanted);
    if (high != seen_.end() && high != seen_.begin()) return true;
    if (step > kFarthest) return false;
    share_at(high == seen_.end() ? seen_.rbegin()->first + step : seen_.begin()->first - step);
  }
  return true;
}

ShiftedShare ShiftSearch::find(double wanted) {
  if (!bracket(wanted)) return nearest(wanted);
  for (int probe = 0; probe < kProbes && !is_met(wanted); ++probe) {
    const auto high = above(wanted), low = std::prev(high);
    // Between the two, where a straight line through them meets the wanted share, but never close to an end: shares are
    // no straight line.
    const double place = std::clamp((wanted - low->second) / (high->second - low->second), 0.1, 0.9);
    const double middle = low->first + place * (high->first - low->first);
    if (middle <= low->first || middle >= high->first) break;
    share_at(middle);
  }
  return nearest(wanted);
}

}  // namespace acm::phases
