#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "core/file.h"
#include "io/safetensors.h"

namespace acm::io {

// The limit of the public implementation: what claims more is not a header.
inline constexpr uint64_t kHeaderLimit = 100'000'000;
inline constexpr uint64_t kLengthBytes = 8;
inline constexpr std::string_view kMetadataKey = "__metadata__";

struct SafetensorsHeader {
  std::map<std::string, SafetensorsFile::Entry> entries;
  Metadata metadata;
};

// Reads the header and checks it against the file's size; Error(kData) says what is wrong with it, or what the file is
// instead.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path, const FileHandle& file);

}  // namespace acm::io
