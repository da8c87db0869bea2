#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cstring>

#include "data/image/augment.h"
#include "data/image/resize.h"
#include "golden/kinds.h"

namespace golden {

namespace {

using acm::data::Colour;
using acm::data::Image;

Image image_from(const at::Tensor& pixels) {
  const uint8_t* values = pixels.const_data_ptr<uint8_t>();
  return {.height = pixels.size(0), .width = pixels.size(1), .pixels = {values, values + pixels.numel()}};
}

at::Tensor tensor_from(const Image& image) {
  at::Tensor pixels = at::empty({image.height, image.width, 3}, at::kByte);
  std::memcpy(pixels.mutable_data_ptr<uint8_t>(), image.pixels.data(), image.pixels.size());
  return pixels;
}

Colour colour_from(const std::string& name) {
  if (name == "brightness") return Colour::kBrightness;
  return name == "contrast" ? Colour::kContrast : Colour::kSaturation;
}

Image resized_crop(const Image& image, const acm::Json& run) {
  const auto at = [&](const char* part, const char* key) { return run.at(part).at(key).as_int(); };
  const Image part = crop(
      image,
      {.left = at("box", "left"), .top = at("box", "top"), .width = at("box", "width"), .height = at("box", "height")});
  return resize(part, {.height = at("size", "height"), .width = at("size", "width")}, acm::data::Filter::kBicubic);
}

Image changed(Image image, const acm::Json& run) {
  const std::string& op = run.at("op").as_string();
  if (op == "resized_crop") return resized_crop(image, run);
  if (op == "grayscale") {
    grayscale(image);
  } else if (op == "solarize") {
    solarize(image);
  } else if (op == "flip") {
    flip(image);
  } else if (op == "blur") {
    blur(image, run.at("sigma").as_double());
  } else if (op == "jitter") {
    const auto& order = run.at("order").as_array();
    for (size_t i = 0; i < order.size(); ++i)
      adjust(image, colour_from(order[i].as_string()), run.at("factors").as_array()[i].as_double());
  } else {
    adjust(image, colour_from(op), run.at("factor").as_double());
  }
  return image;
}

int64_t tolerance_of(const std::string& op) {
  if (op == "grayscale" || op == "solarize" || op == "flip") return 0;
  return op == "jitter" ? 3 : 1;
}

}  // namespace

// The recipe's blur is Pillow's; the true Gaussian stays within what the case says of its distance from that.
void test_augmentation(Case& golden) {
  const Image image = image_from(golden.tensor("image"));
  for (const acm::Json& run : golden.config().at("runs").as_array()) {
    const acm::Json* distance = run.find("largest_difference_to_pil");
    golden.expect_within(run.at("name").as_string(), tensor_from(changed(image, run)),
                         distance ? distance->as_int() + 1 : tolerance_of(run.at("op").as_string()));
  }
}

}  // namespace golden
