#pragma once

#include <cstdint>

namespace acm {

// Of numbers that are not negative, the divisor positive.
constexpr int64_t quotient_up(int64_t dividend, int64_t divisor) { return (dividend + divisor - 1) / divisor; }

}  // namespace acm
