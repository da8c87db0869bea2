#pragma once

#include <string>

#include "data/image/image.h"

namespace acm::data {

// Error(kData) where a picture of this size may not be decoded: more than `max_pixels` pixels, or a side longer than
// JPEG knows (65,535), whatever the format.
void check_picture_size(const ImageSize& size, int64_t max_pixels);

// Most bytes that decoding one picture may take beside its file: enough for `max_pixels` pixels of 3 bytes and a
// quarter more (240 MB for the default of 64 megapixels).
int64_t most_decoding_bytes(int64_t max_pixels);

// "640 x 480 pixels"
std::string size_text(const ImageSize& size);

}  // namespace acm::data
