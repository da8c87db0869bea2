#include "data/image/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace acm::data {
namespace {

constexpr int kDraws = 20'000;

StreamKey key_of(int draw) { return StreamKey(23).with(static_cast<uint64_t>(draw)); }

// Each pixel tells where it stands.
Image picture(int64_t height, int64_t width) {
  Image image{.height = height, .width = width, .pixels = {}};
  for (int64_t i = 0; i < height * width; ++i)
    for (const int64_t value : {i * 7 % 256, i * 13 % 256, 255 - i % 256}) image.pixels.push_back(value & 255);
  return image;
}

// Mean and standard deviation.
struct Statistics {
  explicit Statistics(const std::vector<double>& values) {
    for (const double value : values) mean += value / static_cast<double>(values.size());
    for (const double value : values) variance += (value - mean) * (value - mean) / static_cast<double>(values.size());
  }
  double mean = 0, variance = 0;
};

// Boxes of a large square picture with small crops, where no try fails: share of the area and logarithm of the ratio
// are uniform.
TEST(RandomResizedBox, DrawsAreaRatioAndPlaceUniformly) {
  const double low = 0.08, high = 0.3, log_ratio = std::log(4.0 / 3.0);
  std::vector<double> shares, ratios, lefts, tops;
  for (int i = 0; i < kDraws; ++i) {
    const Box box = random_resized_box({.height = 4000, .width = 4000}, {low, high}, key_of(i));
    shares.push_back(static_cast<double>(box.width * box.height) / (4000.0 * 4000.0));
    ratios.push_back(std::log(static_cast<double>(box.width) / static_cast<double>(box.height)));
    lefts.push_back(static_cast<double>(box.left) / static_cast<double>(4000 - box.width));
    tops.push_back(static_cast<double>(box.top) / static_cast<double>(4000 - box.height));
    EXPECT_LE(std::abs(ratios.back()), log_ratio + 2e-3);
  }
  const auto expect_uniform = [&](const std::vector<double>& values, double from, double to) {
    const Statistics found(values);
    const double variance = (to - from) * (to - from) / 12;
    EXPECT_NEAR(found.mean, (from + to) / 2, 5 * std::sqrt(variance / kDraws));
    EXPECT_NEAR(found.variance, variance, 5 * variance * std::sqrt(0.8 / kDraws));  // fourth moment 9/5 variance^2
  };
  expect_uniform(shares, low, high);
  expect_uniform(ratios, -log_ratio, log_ratio);
  expect_uniform(lefts, 0, 1);
  expect_uniform(tops, 0, 1);
}

TEST(RandomResizedBox, StaysInsideAndTriesAgain) {
  const ImageSize wide{.height = 30, .width = 50};
  std::set<int64_t> widths;
  for (int i = 0; i < kDraws; ++i) {
    const Box box = random_resized_box(wide, {0.08, 1.0}, key_of(i));
    EXPECT_TRUE(box.left >= 0 && box.top >= 0 && box.width > 0 && box.height > 0);
    EXPECT_TRUE(box.left + box.width <= wide.width && box.top + box.height <= wide.height);
    widths.insert(box.width);
  }
  EXPECT_GT(widths.size(), 25u);
}

// torchvision's fallback where no part of the wanted area fits: the largest central part of an allowed ratio.
TEST(RandomResizedBox, FallsBackToTheCentre) {
  const auto expect_box = [](const ImageSize& size, const Box& expected) {
    const Box box = random_resized_box(size, {1.0, 1.0}, StreamKey(1));
    EXPECT_EQ(box.left, expected.left);
    EXPECT_EQ(box.top, expected.top);
    EXPECT_EQ(box.width, expected.width);
    EXPECT_EQ(box.height, expected.height);
  };
  expect_box({.height = 100, .width = 1000}, {.left = 433, .top = 0, .width = 133, .height = 100});
  expect_box({.height = 1000, .width = 90}, {.left = 0, .top = 440, .width = 90, .height = 120});
  expect_box({.height = 1, .width = 1}, {.left = 0, .top = 0, .width = 1, .height = 1});
}

TEST(Augment, IsAFunctionOfPictureAndKey) {
  AugmentConfig config;
  config.flip = config.three_augment = true;
  config.colour_jitter = 0.3;
  const Image original = picture(16, 12);
  std::set<std::vector<uint8_t>> results;
  for (int i = 0; i < 30; ++i) {
    Image first = original, second = original;
    augment(first, config, key_of(i));
    augment(second, config, key_of(i));
    EXPECT_EQ(first.pixels, second.pixels);
    results.insert(first.pixels);
  }
  EXPECT_EQ(results.size(), 30u);
  Image untouched = original;
  augment(untouched, {}, key_of(0));
  EXPECT_EQ(untouched.pixels, original.pixels);
}

TEST(Augment, FlipsHalfAndChoosesEachOfThreeAlike) {
  const Image original = picture(4, 6);
  AugmentConfig flips, three;
  flips.flip = three.three_augment = true;
  Image mirrored = original, grey = original, sunny = original;
  flip(mirrored);
  grayscale(grey);
  solarize(sunny);
  int flipped = 0, greys = 0, suns = 0;
  constexpr int kTries = 6000;
  for (int i = 0; i < kTries; ++i) {
    Image image = original, other = original;
    augment(image, flips, key_of(i));
    augment(other, three, key_of(i));
    EXPECT_TRUE(image.pixels == original.pixels || image.pixels == mirrored.pixels);
    flipped += image.pixels == mirrored.pixels;
    greys += other.pixels == grey.pixels;
    suns += other.pixels == sunny.pixels;
  }
  const auto near = [](int found, double share) {
    EXPECT_NEAR(found, kTries * share, 5 * std::sqrt(kTries * share * (1 - share)));
  };
  near(flipped, 0.5);
  near(greys, 1.0 / 3);
  near(suns, 1.0 / 3);
}

// On grey pictures contrast moves the value away from itself and saturation does nothing, so what is left is the factor
// of brightness.
TEST(Augment, JitterDrawsItsFactorsUniformly) {
  AugmentConfig config;
  config.colour_jitter = 0.3;
  std::vector<double> factors;
  for (int i = 0; i < kDraws; ++i) {
    Image image{.height = 1, .width = 1, .pixels = {100, 100, 100}};
    augment(image, config, key_of(i));
    factors.push_back((image.pixels[0] + 0.5) / 100);  // cut to a whole number
  }
  const Statistics found(factors);
  EXPECT_NEAR(found.mean, 1, 5 * 0.3 / std::sqrt(3.0 * kDraws) + 1e-3);
  EXPECT_NEAR(std::sqrt(found.variance), 0.3 / std::sqrt(3.0), 0.004);
  const auto [least, largest] = std::minmax_element(factors.begin(), factors.end());
  EXPECT_NEAR(*least, 0.7, 0.011);
  EXPECT_NEAR(*largest, 1.3, 0.011);
}

TEST(Blur, KeepsFlatPicturesAndSpreadsAPointEvenly) {
  Image flat{.height = 5, .width = 3, .pixels = std::vector<uint8_t>(45, 77)};
  for (const double sigma : {0.1, 0.9, 2.0}) {
    blur(flat, sigma);
    EXPECT_EQ(flat.pixels, std::vector<uint8_t>(45, 77));
  }
  Image point{.height = 21, .width = 21, .pixels = std::vector<uint8_t>(21 * 21 * 3, 0)};
  const auto at = [&](int64_t y, int64_t x) -> uint8_t& { return point.pixels[static_cast<size_t>((y * 21 + x) * 3)]; };
  at(10, 10) = 255;
  blur(point, 1.5);
  EXPECT_EQ(at(10, 10), *std::max_element(point.pixels.begin(), point.pixels.end()));
  for (int64_t i = 1; i < 5; ++i) {
    EXPECT_EQ(at(10, 10 + i), at(10, 10 - i));
    EXPECT_EQ(at(10 + i, 10), at(10, 10 + i));
    EXPECT_LE(at(10, 10 + i), at(10, 9 + i));
  }
  EXPECT_EQ(point.pixels[1], 0) << "channels do not mix";
}

}  // namespace
}  // namespace acm::data
