#pragma once

#include <filesystem>
#include <string>

namespace acm::io {

// The content of a file, inflated where it is gzip and as it is where it is not. Error(kData) names a file that is
// missing, ends early or is damaged.
std::string read_maybe_gzip(const std::filesystem::path& path);

}  // namespace acm::io
