#pragma once

#include <cstdint>
#include <vector>

namespace acm::phases {

// Which rank trains which site: the dearest site goes to the rank with the least to do, the lower rank among equals.
// costs by site -> rank by site.
std::vector<int> share_out(const std::vector<int64_t>& costs, int ranks);

}  // namespace acm::phases
