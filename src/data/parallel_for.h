#pragma once

#include <cstdint>
#include <functional>

namespace acm::data {

// body(0) ... body(count - 1), some at a time: for work that waits for disks, so on more threads than cores. The error
// of the lowest index that failed is thrown, whichever came first.
void parallel_for(int64_t count, const std::function<void(int64_t)>& body);

}  // namespace acm::data
