#include "data/image/resize.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>

#include "data/image/resize_passes.h"

namespace acm::data {
namespace {

// The rows of the picture that the taps of the height reach.
Taps::Span rows_reached(const Taps& taps) {
  int64_t first = taps.spans.front().first, end = first;
  for (const Taps::Span& span : taps.spans) {
    first = std::min(first, span.first);
    end = std::max(end, span.first + span.count);
  }
  return {first, end - first};
}

// Pillow holds the edges of the part in single precision.
Resampling axis_of(int64_t pixels, double from, double length, int64_t size) {
  const auto begin = static_cast<float>(from), end = static_cast<float>(from + length);
  return {pixels, begin, end - begin, size, 0, size};
}

// The order that Pillow 13 takes; before, it always began with the width. The bytes between the passes are rounded, so
// the order shows: by a grey level or so in photographs, by twenty in noise.
bool height_goes_first(const Resampling& width, const Resampling& height) {
  const int64_t lower = height.pixels - height.size, narrower = width.pixels - width.size;
  return lower > 0 && lower > 2 * narrower;
}

Image resample(const Image& image, const Resampling& width, const Resampling& height, Filter filter) {
  if (height.is_copy() && width.is_copy()) {
    return crop(image, {width.first, height.first, width.count, height.count});
  }
  if (height.is_copy()) return resample_width(image, height.first, height.count, taps_for(width, filter));
  const Taps taps = taps_for(height, filter);
  if (width.is_copy()) {
    return crop(resample_height(image, 0, taps), {width.first, 0, width.count, height.count});
  }
  const Taps across = taps_for(width, filter);
  if (height_goes_first(width, height)) return resample_width(resample_height(image, 0, taps), 0, height.count, across);
  const Taps::Span rows = rows_reached(taps);
  return resample_height(resample_width(image, rows.first, rows.count, across), rows.first, taps);
}

}  // namespace

Image resize(const Image& image, double left, double top, double width, double height, const ImageSize& to,
             Filter filter) {
  TORCH_CHECK(to.width > 0 && to.height > 0 && width > 0 && height > 0, "resizing to or from nothing");
  return resample(image, axis_of(image.width, left, width, to.width), axis_of(image.height, top, height, to.height),
                  filter);
}

Image resize(const Image& image, const ImageSize& to, Filter filter) {
  return resize_window(image, to, {0, 0, to.width, to.height}, filter);
}

Image resize_window(const Image& image, const ImageSize& to, const Box& window, Filter filter) {
  TORCH_CHECK(window.width > 0 && window.height > 0, "an empty window");
  return resample(image, {image.width, 0, static_cast<double>(image.width), to.width, window.left, window.width},
                  {image.height, 0, static_cast<double>(image.height), to.height, window.top, window.height}, filter);
}

Image crop(const Image& image, const Box& box) {
  TORCH_CHECK(
      box.left >= 0 && box.top >= 0 && box.left + box.width <= image.width && box.top + box.height <= image.height,
      "a crop beyond the picture");
  Image out = {box.height, box.width, std::vector<uint8_t>(static_cast<size_t>(box.height * box.width * 3))};
  for (int64_t y = 0; y < box.height; ++y) {
    std::memcpy(out.pixels.data() + y * box.width * 3,
                image.pixels.data() + ((box.top + y) * image.width + box.left) * 3, static_cast<size_t>(box.width) * 3);
  }
  return out;
}

}  // namespace acm::data
