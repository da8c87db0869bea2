#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace acm::data {

// The content of an IDX file of unsigned bytes: a big-endian magic number (0, 0, type, dimensions), the sizes, the
// bytes.
struct IdxFile {
  std::string content;         // as in the file, inflated
  std::vector<int64_t> sizes;  // one for each dimension
  std::string_view bytes() const { return std::string_view(content).substr(4 + 4 * sizes.size()); }
};

// `what` names the content in messages ("images", "labels"). Error(kData) names a file that is missing, damaged,
// truncated, too long, of another type or of another number of dimensions.
IdxFile read_idx(const std::filesystem::path& path, int64_t dimensions, const std::string& what);

}  // namespace acm::data
