#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/file.h"
#include "data/open.h"
#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::data {
namespace {

// 30 training and 4 test images of 2 x 2 pixels, image i all of brightness i, label i mod 10.
DataConfig example(const Scratch& scratch) {
  const auto idx = [](int dimensions, int64_t images, int64_t bytes_each, int64_t modulus) {
    std::string out = {0, 0, 8, static_cast<char>(dimensions), 0, 0, 0, static_cast<char>(images)};
    for (int i = 1; i < dimensions; ++i) out += std::string("\0\0\0\2", 4);
    for (int64_t i = 0; i < images; ++i)
      out += std::string(static_cast<size_t>(bytes_each), static_cast<char>(i % modulus));
    return out;
  };
  DataConfig config;
  config.path = scratch.folder().string();
  config.train = {"train-images", "train-labels"};
  config.test = {"test-images", "test-labels"};
  for (const auto& [names, images] : {std::pair{config.train, 30}, std::pair{config.test, 4}}) {
    replace_file(scratch / names[0], idx(3, images, 4, 256));
    replace_file(scratch / names[1], idx(1, images, 1, 10));
  }
  return config;
}

// Which training image a sample was made from, by its brightest pixel.
int64_t number_of(const Sample& sample) { return std::lround(sample.input.max().item<double>() * 255); }

std::vector<int64_t> numbers_of(const DataSource& source) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < source.size(); ++i) numbers.push_back(number_of(source.get(i, StreamKey(9))));
  return numbers;
}

TEST(Sources, CalibrationIsHeldBackFromTraining) {
  const Scratch scratch;
  auto config = example(scratch);
  config.calibration = 5;
  const auto sources = open_sources(config, StreamKey(1), {});
  ASSERT_TRUE(sources.calibration);
  EXPECT_EQ(sources.test->size(), 4);
  auto train = numbers_of(*sources.train), held_back = numbers_of(*sources.calibration);
  EXPECT_EQ(train.size(), 25u);
  EXPECT_EQ(held_back.size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(train));
  train.insert(train.end(), held_back.begin(), held_back.end());
  std::ranges::sort(train);
  for (int64_t i = 0; i < 30; ++i) EXPECT_EQ(train[static_cast<size_t>(i)], i);
  EXPECT_NE(numbers_of(*open_sources(config, StreamKey(2), {}).calibration), held_back);
  EXPECT_NE(open_sources(config, StreamKey(2), {}).train->identity(), sources.train->identity());
}

TEST(Sources, AutomaticIsATenthOrNothing) {
  const Scratch scratch;
  auto config = example(scratch);
  EXPECT_EQ(open_sources(config, StreamKey(1), {}).calibration->size(), 3);
  config.train_samples = 9;
  const auto few = open_sources(config, StreamKey(1), {});
  EXPECT_FALSE(few.calibration);
  EXPECT_EQ(few.train->identity(), open_source(config, Split::kTrain)->identity());
  config.calibration = 0;
  EXPECT_FALSE(open_sources(config, StreamKey(1), {}).calibration);
}

TEST(Sources, CalibrationIsSeenAsEvaluationSeesSamples) {
  const Scratch scratch;
  auto config = example(scratch);
  config.calibration = 20;
  config.augment.crop_padding = 2;
  const auto sources = open_sources(config, StreamKey(1), {});
  const auto key = [](uint64_t seed, int64_t i) { return StreamKey(seed).with(static_cast<uint64_t>(i)); };
  const auto differs_by_key = [&](const DataSource& source) {
    int64_t differing = 0;
    for (int64_t i = 0; i < source.size(); ++i)
      differing += !source.get(i, key(1, i)).input.equal(source.get(i, key(2, i)).input);
    return differing;
  };
  EXPECT_GT(differs_by_key(*sources.train), 0);
  EXPECT_EQ(differs_by_key(*sources.calibration), 0);
}

TEST(Sources, SomethingMustBeLeftToTrainOn) {
  const Scratch scratch;
  auto config = example(scratch);
  config.calibration = 30;
  expect_error(Fault::kUsage, "cannot hold back data.calibration = 30 samples: there are 30 training samples",
               [&] { open_sources(config, StreamKey(1), {}); });
}

}  // namespace
}  // namespace acm::data
