#include "data/image/augment.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace acm::data {
namespace {

constexpr int kTries = 10;  // of random resized crop, as in torchvision
constexpr double kNarrowest = 3.0 / 4.0, kWidest = 4.0 / 3.0;
constexpr double kLeastSigma = 0.1, kLargestSigma = 2.0;  // of DeiT-III's blur

double uniform(StreamKey key, uint64_t index, double low, double high) {
  return low + (high - low) * random_uniform(key, index);
}

// Whole numbers by Python's rule, halves to even, as torchvision rounds.
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

Box central_box(const ImageSize& size) {
  const double ratio = static_cast<double>(size.width) / static_cast<double>(size.height);
  Box box{.width = size.width, .height = size.height};
  if (ratio < kNarrowest) box.height = rounded(static_cast<double>(size.width) / kNarrowest);
  if (ratio > kWidest) box.width = rounded(static_cast<double>(size.height) * kWidest);
  box.top = (size.height - box.height) / 2;
  box.left = (size.width - box.width) / 2;
  return box;
}

void one_of_three(Image& image, StreamKey key) {
  switch (random_below(key, 0, 3)) {
    case 0:
      return grayscale(image);
    case 1:
      return solarize(image);
    default:
      return blur(image, uniform(key, 1, kLeastSigma, kLargestSigma));
  }
}

void jitter(Image& image, double strength, StreamKey key) {
  std::array<Colour, 3> order = {Colour::kBrightness, Colour::kContrast, Colour::kSaturation};
  for (size_t i = 2; i > 0; --i) std::swap(order[i], order[random_below(key, i, i + 1)]);
  for (const Colour what : order) {
    const auto number = 3 + static_cast<uint64_t>(what);
    adjust(image, what, uniform(key, number, std::max(0.0, 1 - strength), 1 + strength));
  }
}

}  // namespace

Box random_resized_box(const ImageSize& size, const std::vector<double>& scale, StreamKey key) {
  const StreamKey draws = key.with("random resized crop");
  const double area = static_cast<double>(size.height) * static_cast<double>(size.width);
  for (uint64_t attempt = 0; attempt < kTries; ++attempt) {
    const double wanted = area * uniform(draws, 4 * attempt, scale[0], scale[1]);
    const double ratio = std::exp(uniform(draws, 4 * attempt + 1, std::log(kNarrowest), std::log(kWidest)));
    const int64_t width = rounded(std::sqrt(wanted * ratio)), height = rounded(std::sqrt(wanted / ratio));
    if (width < 1 || width > size.width || height < 1 || height > size.height) continue;
    const auto place = [&](uint64_t draw, int64_t rooms) {
      return static_cast<int64_t>(random_below(draws, 4 * attempt + draw, static_cast<uint64_t>(rooms)));
    };
    return {.left = place(3, size.width - width + 1),
            .top = place(2, size.height - height + 1),
            .width = width,
            .height = height};
  }
  return central_box(size);
}

void augment(Image& image, const AugmentConfig& config, StreamKey key) {
  if (config.flip && random_below(key.with("flip"), 0, 2) == 1) flip(image);
  if (config.three_augment) one_of_three(image, key.with("three augment"));
  if (config.colour_jitter > 0) jitter(image, config.colour_jitter, key.with("colour jitter"));
}

}  // namespace acm::data
