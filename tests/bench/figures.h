#pragma once

#include <algorithm>
#include <ctime>
#include <vector>

namespace acm::bench {

// Processor time of all threads of this process: other programs on the machine disturb it little.
inline double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace acm::bench
