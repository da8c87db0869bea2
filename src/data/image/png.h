#pragma once

#include <optional>

#include "data/image/decode.h"

namespace acm::data {

ImageSize png_size(Bytes file, int64_t max_pixels);

// The whole picture, or `part` of it.
Image decode_png(Bytes file, const std::optional<Box>& part, int64_t max_pixels);

}  // namespace acm::data
