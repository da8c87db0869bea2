// The operations of augment.h that look at one pixel at a time.
#include <algorithm>
#include <array>

#include "data/image/augment.h"

namespace acm::data {
namespace {

using Table = std::array<uint8_t, 256>;

// ITU-R 601 luma in 16-bit fixed point, as Pillow's convert("L").
uint8_t luma(const uint8_t* pixel) {
  return static_cast<uint8_t>((19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 32768u) >> 16);
}

// base + factor (value - base) in the numbers that Pillow's blend uses, cut to a whole number.
uint8_t blended(int base, int value, float factor) {
  const float result = static_cast<float>(base) + factor * static_cast<float>(value - base);
  return static_cast<uint8_t>(std::clamp(result, 0.0F, 255.0F));
}

Table blend_table(int base, float factor) {
  Table table;
  for (int value = 0; value < 256; ++value) table[static_cast<size_t>(value)] = blended(base, value, factor);
  return table;
}

void look_up(const Table& table, Image& image) {
  for (uint8_t& value : image.pixels) value = table[value];
}

// Of the picture's luma, rounded.
int mean_grey(const Image& image) {
  uint64_t sum = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) sum += luma(&image.pixels[i]);
  return static_cast<int>(static_cast<double>(sum) / (static_cast<double>(image.pixels.size()) / 3) + 0.5);
}

void saturate(Image& image, float factor) {
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    uint8_t* pixel = &image.pixels[i];
    const int grey = luma(pixel);
    for (int channel = 0; channel < 3; ++channel) pixel[channel] = blended(grey, pixel[channel], factor);
  }
}

}  // namespace

void flip(Image& image) {
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* left = image.pixels.data() + y * image.width * 3;
    uint8_t* right = left + (image.width - 1) * 3;
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
}

void grayscale(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 3) std::fill_n(&image.pixels[i], 3, luma(&image.pixels[i]));
}

void solarize(Image& image) {
  for (uint8_t& value : image.pixels) value = value < 128 ? value : static_cast<uint8_t>(255 - value);
}

void adjust(Image& image, Colour what, double factor) {
  const auto narrow = static_cast<float>(factor);
  switch (what) {
    case Colour::kBrightness:
      return look_up(blend_table(0, narrow), image);
    case Colour::kContrast:
      return look_up(blend_table(mean_grey(image), narrow), image);
    case Colour::kSaturation:
      return saturate(image, narrow);
  }
}

}  // namespace acm::data
