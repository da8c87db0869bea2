#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "io/activation_cache.h"

namespace acm::io {

// Names inside a segment file and of the files themselves.
inline constexpr std::string_view kOffsets = "/offsets";
std::string input_path(const std::string& site);
std::string output_path(const std::string& site);
std::filesystem::path segment_path(const std::filesystem::path& folder, int64_t segment);
// Segment files under their final names, in order; partial files of other writers carry other names.
std::vector<std::filesystem::path> segment_files(const std::filesystem::path& folder);
// What a segment file or the partial file of one is named after; nothing for files of other names.
std::optional<int64_t> segment_number(const std::string& file_name);
std::optional<int64_t> partial_segment_number(const std::string& file_name);

inline bool owns_input(const CachedSite& site) { return site.input_of == site.name; }
const CachedSite& site_named(const CacheLayout& layout, const std::string& name);

// A layout that cannot be stored is a bug of the caller.
void check_layout(const CacheLayout& layout);
// The caller's key with what the file format itself adds: segments are equal only if both are.
Json full_key(const CacheLayout& layout);
// Bytes that each dataset has in a segment of so many samples and rows, by path.
std::map<std::string, int64_t> dataset_bytes(const CacheLayout& layout, int64_t samples, int64_t rows);

}  // namespace acm::io
