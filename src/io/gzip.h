#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace acm::io {

// The first `most` bytes of a file's content, or all: inflated where it is gzip, of which a thousand bytes may stand
// for a million, and as it is where it is not. Error(kData) names a file that is missing, ends early or is damaged.
std::string read_maybe_gzip(const std::filesystem::path& path, int64_t most);

}  // namespace acm::io
