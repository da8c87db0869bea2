#include "data/image/picture_limits.h"

#include <limits>

#include "core/error.h"

namespace acm::data {

constexpr int64_t kLongestSide = 65535;

void check_picture_size(const ImageSize& size, int64_t max_pixels) {
  if (size.height < 1 || size.width < 1) throw Error(Fault::kData, "it says that it has " + size_text(size));
  if (size.height > kLongestSide || size.width > kLongestSide) {
    throw Error(Fault::kData, "it has " + size_text(size) + ", and no side may be longer than " +
                                  std::to_string(kLongestSide) + "; make it smaller");
  }
  if (size.height * size.width > max_pixels) {
    throw Error(Fault::kData, "it has " + size_text(size) + ", more than data.max_pixels = " +
                                  std::to_string(max_pixels) + " allows; make it smaller, or raise the limit");
  }
}

int64_t most_decoding_bytes(int64_t max_pixels) {
  constexpr int64_t kBytes = 15, kPixels = 4;
  if (max_pixels > std::numeric_limits<int64_t>::max() / kBytes) return std::numeric_limits<int64_t>::max();
  return max_pixels * kBytes / kPixels;
}

std::string size_text(const ImageSize& size) {
  return std::to_string(size.width) + " x " + std::to_string(size.height) + " pixels";
}

}  // namespace acm::data
