#pragma once

#include <span>

namespace acm {

// Sum of squares in float64, added in a fixed order, so that its bits depend on the values alone. A library's parallel
// reduction does not promise that: torch's sum over all elements changes with the number of threads.
double ordered_sum_of_squares(std::span<const float> values);
double ordered_sum_of_squares(std::span<const double> values);

}  // namespace acm
