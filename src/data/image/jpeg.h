#pragma once

#include <optional>

#include "data/image/decode.h"

namespace acm::data {

ImageSize jpeg_size(Bytes file, int64_t max_pixels);

// The whole picture, or the pixels that cover `part`. `wanted` allows a smaller scale (decode_part); without it the
// scale is 1.
DecodedPart decode_jpeg(Bytes file, const std::optional<Box>& part, const std::optional<ImageSize>& wanted,
                        int64_t max_pixels);

}  // namespace acm::data
