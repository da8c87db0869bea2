#include "data/image/transform.h"

#include <gtest/gtest.h>

#include "data/image/augment.h"
#include "data/image/resize.h"
#include "unit/core/expect_error.h"
#include "unit/data/image/pictures.h"

namespace acm::data {
namespace {

DataConfig config_of(int64_t size) {
  DataConfig config;
  config.size = size;
  config.mean = {0.1, 0.2, 0.3};
  config.std = {0.5, 1, 2};
  return config;
}

void expect_pixels(const at::Tensor& input, const Image& image, const DataConfig& config) {
  ASSERT_EQ(input.sizes(), (std::vector<int64_t>{3, image.height, image.width}));
  const auto* values = input.const_data_ptr<float>();
  const int64_t pixels = image.height * image.width;
  for (int64_t i = 0; i < 3 * pixels; ++i) {
    const int64_t channel = i / pixels, pixel = i % pixels;
    const double value = image.pixels[static_cast<size_t>(3 * pixel + channel)] / 255.0;
    const auto c = static_cast<size_t>(channel);
    ASSERT_NEAR(values[i], (value - config.mean[c]) / config.std[c], 1e-6);
  }
}

TEST(ImageTransform, EvaluationTakesTheCentre) {
  const DataConfig config = config_of(16);
  const Image image = picture(21, 31);
  const std::string file = png(image);
  const at::Tensor input = ImageTransform(config, Split::kTest)(bytes_of(file), StreamKey(1));
  expect_pixels(input, crop(image, {8, 2, 16, 16}), config);
}

TEST(ImageTransform, TrainingWithoutARandomPartSeesTheSame) {
  DataConfig config = config_of(16);
  config.preset = "augreg";
  const std::string file = jpeg(picture(40, 50));
  const ImageTransform train(config, Split::kTrain), test(config, Split::kTest);
  EXPECT_TRUE(train(bytes_of(file), StreamKey(1)).equal(test(bytes_of(file), StreamKey(2))));
  config.augment.flip = true;
  const ImageTransform flipping(config, Split::kTrain);
  int flipped = 0;
  for (uint64_t key = 0; key < 32; ++key) {
    const at::Tensor input = flipping(bytes_of(file), StreamKey(key));
    EXPECT_TRUE(input.equal(flipping(bytes_of(file), StreamKey(key))));
    flipped += input.equal(test(bytes_of(file), StreamKey())) ? 0 : 1;
  }
  EXPECT_GT(flipped, 8);
  EXPECT_LT(flipped, 24);
}

TEST(ImageTransform, TheRandomPartIsCroppedThenResized) {
  DataConfig config = config_of(24);
  config.augment.random_resized_crop = true;
  const Image image = picture(40, 50);
  const std::string file = png(image);
  const ImageTransform transform(config, Split::kTrain);
  for (uint64_t key = 0; key < 8; ++key) {
    const Box box = random_resized_box({40, 50}, config.augment.crop_scale, StreamKey(key));
    expect_pixels(transform(bytes_of(file), StreamKey(key)), resize(crop(image, box), {24, 24}, Filter::kBicubic),
                  config);
  }
}

TEST(ImageTransform, BothSplitsRecordHowInputsAreEvaluated) {
  DataConfig config = config_of(24);
  config.augment.random_resized_crop = true;
  const ImageTransform train(config, Split::kTrain), test(config, Split::kTest);
  EXPECT_EQ(train.preprocessing(), test.preprocessing());
  EXPECT_EQ(test.augmentation(), Json());
  EXPECT_EQ(train.augmentation().at("random_resized_crop"), Json(true));
}

TEST(ImageTransform, RefusesSmallPicturesThatAreNotResized) {
  const ImageTransform transform(config_of(24), Split::kTest);
  const std::string file = png(picture(23, 30));
  expect_error(Fault::kData, "it has 30 x 23 pixels, less than data.size = 24",
               [&] { transform(bytes_of(file), StreamKey()); });
}

}  // namespace
}  // namespace acm::data
