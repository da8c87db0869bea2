#pragma once

#include "data/image/decode.h"
#include "fuzz/target.h"

namespace acm::fuzz {

constexpr int64_t kMostPixels = 1 << 16;

// A picture's size, the picture, and parts of it at several scales.
inline void decode_all(data::Bytes file) {
  data::ImageSize size;
  try_to([&] { size = data::image_size(file, kMostPixels); });
  if (size.height == 0) return;
  try_to([&] {
    const data::Image image = data::decode_image(file, kMostPixels);
    promise(image.height == size.height && image.width == size.width, "a picture has the size that its header says");
    promise(static_cast<int64_t>(image.pixels.size()) == 3 * image.height * image.width, "a picture is whole");
  });
  const data::Box right_half = {size.width / 2, 0, size.width - size.width / 2, size.height};
  const data::Box corner = {0, size.height - 1, 1, 1};
  for (const data::Box& box : {right_half, corner}) {
    for (const int64_t wanted : {1, 64}) {
      try_to([&] {
        const data::DecodedPart part = data::decode_part(file, box, {wanted, wanted}, kMostPixels);
        promise(static_cast<int64_t>(part.image.pixels.size()) == 3 * part.image.height * part.image.width,
                "a part is whole");
      });
    }
  }
}

}  // namespace acm::fuzz
