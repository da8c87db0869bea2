#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"
#include "io/safetensors.h"

namespace acm::io {

// The format's word for a dtype; a dtype that it cannot hold is a bug of the caller.
std::string_view safetensors_dtype(at::ScalarType dtype);

// A tensor's name for a message, which stays short whatever the name is.
std::string shown(const std::string& name);

// The members of a header. Each throws Error(kData) that says what is wrong with it, without the name of the file.
// `data_begin`: where the header's offsets count from.
SafetensorsFile::Entry parse_entry(const Json& json, int64_t data_begin);
Metadata parse_metadata(const Json& json);

}  // namespace acm::io
