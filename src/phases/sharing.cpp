#include "phases/sharing.h"

#include <algorithm>
#include <numeric>

namespace acm::phases {

std::vector<int> share_out(const std::vector<int64_t>& costs, int ranks) {
  std::vector<size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return costs[a] > costs[b]; });
  std::vector<int64_t> loads(static_cast<size_t>(ranks), 0);
  std::vector<int> owners(costs.size(), 0);
  for (const size_t site : order) {
    const auto least = std::ranges::min_element(loads) - loads.begin();
    owners[site] = static_cast<int>(least);
    loads[static_cast<size_t>(least)] += costs[site];
  }
  return owners;
}

}  // namespace acm::phases
