#pragma once

#include <string_view>

namespace acm {

// Seconds from "5400", or from Slurm's forms "minutes:seconds", "hours:minutes:seconds", "days-hours",
// "days-hours:minutes" and "days-hours:minutes:seconds". Error(kUsage) says what is wrong with `text`.
double seconds_from(std::string_view text);

}  // namespace acm
