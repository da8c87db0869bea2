#pragma once

#include <functional>
#include <span>
#include <string>

#include "data/image/image.h"

namespace acm::data {

using Bytes = std::span<const uint8_t>;

// Decodes JPEG (libjpeg-turbo) and PNG (libpng) files held in memory, by what they are and not by their names. Grey,
// CMYK, palette and 16-bit pictures become 8-bit RGB as Pillow's convert("RGB") gives them. Error(kData) says what is
// wrong with the file, without its name: truncated, neither JPEG nor PNG, larger than `max_pixels`.
ImageSize image_size(Bytes file, int64_t max_pixels);
Image decode_image(Bytes file, int64_t max_pixels);

// The picture for somebody who wants only `part` of it, scaled to `wanted`: a JPEG decodes little more than the part,
// at 1/2, 1/4 or 1/8 of its size where that leaves at least `wanted`. `part` in the result says where the part lies in
// the picture that was decoded, in its own pixels, fractions allowed.
struct DecodedPart {
  Image image;
  double left = 0, top = 0, width = 0, height = 0;
};
DecodedPart decode_part(Bytes file, const Box& part, const ImageSize& wanted, int64_t max_pixels);

}  // namespace acm::data
