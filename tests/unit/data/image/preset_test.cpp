#include "data/image/preset.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"

namespace acm::data {
namespace {

DataConfig config_of(const std::string& preset, int64_t size = 224) {
  DataConfig config;
  config.preset = preset;
  config.size = size;
  return config;
}

// weights.md 4, from the libraries' own files.
TEST(Preset, TheConstantsOfEachFamily) {
  const std::array<double, 3> half = {0.5, 0.5, 0.5}, mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225};
  const auto augreg = preprocessing_of(config_of("augreg")), deit = preprocessing_of(config_of("deit"));
  const auto torchvision = preprocessing_of(config_of("torchvision")), hf = preprocessing_of(config_of("huggingface"));
  EXPECT_EQ(augreg.shorter_side, 248);
  EXPECT_EQ(preprocessing_of(config_of("augreg", 384)).shorter_side, 426);
  EXPECT_EQ(augreg.filter, Filter::kBicubic);
  EXPECT_EQ(augreg.mean, half);
  EXPECT_EQ(augreg.std, half);
  EXPECT_EQ(deit.shorter_side, 248);
  EXPECT_EQ(deit.filter, Filter::kBicubic);
  EXPECT_EQ(deit.mean, mean);
  EXPECT_EQ(torchvision.shorter_side, 256);
  EXPECT_EQ(torchvision.filter, Filter::kBilinear);
  EXPECT_EQ(torchvision.std, std);
  EXPECT_EQ(hf.resize, Preprocessing::Resize::kWhole);
  EXPECT_EQ(hf.filter, Filter::kBilinear);
  EXPECT_EQ(hf.std, half);
}

TEST(Preset, GivenSettingsComeFirst) {
  DataConfig config = config_of("deit");
  config.resize = 300;
  config.interpolation = "bilinear";
  config.mean = {0.1};
  config.std = {0.2, 0.3, 0.4};
  const Preprocessing given = preprocessing_of(config);
  EXPECT_EQ(given.shorter_side, 300);
  EXPECT_EQ(given.filter, Filter::kBilinear);
  EXPECT_EQ(given.mean, (std::array<double, 3>{0.1, 0.1, 0.1}));
  EXPECT_EQ(given.std, (std::array<double, 3>{0.2, 0.3, 0.4}));
  config.resize = 0;
  EXPECT_EQ(preprocessing_of(config).resize, Preprocessing::Resize::kNone);
  config.resize = 223;
  expect_error(Fault::kUsage, "cannot cut inputs of data.size = 224 from images whose shorter side is resized to 223",
               [&] { preprocessing_of(config); });
}

TEST(Preset, IsRecorded) {
  EXPECT_EQ(preprocessing_of(config_of("torchvision")).to_json().dump(),
            R"({"channels":3,"height":224,"interpolation":"bilinear","mean":[0.485,0.456,0.406],"resize":256,)"
            R"("std":[0.229,0.224,0.225],"width":224})");
  EXPECT_EQ(preprocessing_of(config_of("huggingface")).to_json().at("resize"), Json("whole"));
  EXPECT_EQ(preprocessing_of(config_of("none")).to_json().at("resize"), Json(0));
}

void expect_geometry(const Geometry& actual, const ImageSize& resized, int64_t left, int64_t top) {
  EXPECT_EQ(actual.resized.height, resized.height);
  EXPECT_EQ(actual.resized.width, resized.width);
  EXPECT_EQ(actual.window.left, left);
  EXPECT_EQ(actual.window.top, top);
}

// The arithmetic of torchvision's Resize and CenterCrop: truncation, and halves to the even side.
TEST(Geometry, RoundsAsTorchvisionDoes) {
  const Preprocessing augreg = preprocessing_of(config_of("augreg"));
  expect_geometry(geometry_of(augreg, {375, 500}), {248, 330}, 53, 12);
  expect_geometry(geometry_of(augreg, {500, 375}), {330, 248}, 12, 53);
  expect_geometry(geometry_of(augreg, {90, 100}), {248, 275}, 26, 12);  // (275 - 224) / 2 = 25.5
  expect_geometry(geometry_of(augreg, {100, 100}), {248, 248}, 12, 12);
  const Preprocessing hf = preprocessing_of(config_of("huggingface"));
  expect_geometry(geometry_of(hf, {375, 500}), {224, 224}, 0, 0);
  const Preprocessing none = preprocessing_of(config_of("none", 28));
  expect_geometry(geometry_of(none, {33, 28}), {33, 28}, 0, 2);  // 2.5
  expect_geometry(geometry_of(none, {31, 28}), {31, 28}, 0, 2);  // 1.5
}

TEST(Geometry, SmallPicturesAreEnlargedOnlyWhereTheyAreResized) {
  expect_error(Fault::kData, "it has 28 x 20 pixels, less than data.size = 28, and images are not resized", [] {
    geometry_of(preprocessing_of(config_of("none", 28)), {20, 28});
  });
  expect_geometry(geometry_of(preprocessing_of(config_of("augreg", 28)), {20, 28}), {31, 43}, 8, 2);
}

}  // namespace
}  // namespace acm::data
