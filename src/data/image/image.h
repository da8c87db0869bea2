#pragma once

#include <cstdint>
#include <vector>

namespace acm::data {

// A decoded picture: rows from the top, pixels from the left, red, green, blue.
struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [height, width, 3]
};

struct ImageSize {
  int64_t height = 0, width = 0;
};

// A part of a picture in whole pixels.
struct Box {
  int64_t left = 0, top = 0, width = 0, height = 0;
};

}  // namespace acm::data
