#include "data/image/resize.h"

#include <gtest/gtest.h>

#include "unit/data/image/pictures.h"

namespace acm::data {
namespace {

// Equality with Pillow is what the golden cases images/files and images/preprocessing test.

TEST(Resize, AnEqualSizeIsACopy) {
  const Image image = picture(9, 14);
  for (const Filter filter : {Filter::kBilinear, Filter::kBicubic}) {
    EXPECT_EQ(resize(image, {9, 14}, filter).pixels, image.pixels);
  }
}

TEST(Resize, AFlatPictureStaysFlat) {
  Image image = picture(31, 17);
  for (uint8_t& value : image.pixels) value = 201;
  for (const ImageSize to : {ImageSize{7, 5}, ImageSize{64, 40}, ImageSize{31, 3}, ImageSize{2, 17}, ImageSize{1, 1}}) {
    for (const uint8_t value : resize(image, to, Filter::kBicubic).pixels) ASSERT_EQ(value, 201);
  }
}

TEST(Resize, AWindowIsAPartOfTheWhole) {
  const Image image = picture(53, 40);
  for (const ImageSize to : {ImageSize{33, 25}, ImageSize{80, 60}, ImageSize{10, 40}, ImageSize{53, 20}}) {
    const Box window = {3, 2, to.width - 5, to.height - 4};
    for (const Filter filter : {Filter::kBilinear, Filter::kBicubic}) {
      EXPECT_EQ(resize_window(image, to, window, filter).pixels, crop(resize(image, to, filter), window).pixels);
    }
  }
}

TEST(Resize, AWindowOfALongPictureIsCheap) {
  const Image line = picture(1, 60000);
  const Image window = resize_window(line, {248, 248 * 60000}, {248 * 30000, 12, 224, 224}, Filter::kBicubic);
  EXPECT_EQ(window.height, 224);
  EXPECT_EQ(window.width, 224);
}

TEST(Crop, TakesTheBox) {
  const Image image = picture(6, 5);
  const Image part = crop(image, {1, 2, 3, 4});
  EXPECT_EQ(part.height, 4);
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(part.pixels[i], image.pixels[(2 * 5 + 1) * 3 + i]);
  EXPECT_ANY_THROW(crop(image, {3, 0, 3, 3}));
}

}  // namespace
}  // namespace acm::data
