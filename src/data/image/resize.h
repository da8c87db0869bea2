#pragma once

#include "data/image/image.h"

namespace acm::data {

enum class Filter { kBilinear, kBicubic };

// Antialiased resampling of a part of a picture, equal to Pillow's Image.resize(size, filter, box) to the last bit: two
// passes with 8-bit results between them, the filter's support stretched where the picture shrinks. Pixels around the
// part count where the filter reaches them.
Image resize(const Image& image, double left, double top, double width, double height, const ImageSize& to,
             Filter filter);
Image resize(const Image& image, const ImageSize& to, Filter filter);
// What crop(resize(image, to, filter), window) gives; nothing outside the window is computed, so a long narrow picture
// costs no more than another.
Image resize_window(const Image& image, const ImageSize& to, const Box& window, Filter filter);
Image crop(const Image& image, const Box& box);

}  // namespace acm::data
