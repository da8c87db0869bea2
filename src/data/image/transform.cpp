#include "data/image/transform.h"

#include <ATen/ops/empty.h>

#include <array>

#include "data/image/augment.h"
#include "data/image/preset.h"

namespace acm::data {

struct ImageTransform::Recipe {
  Preprocessing preprocessing;
  AugmentConfig augment;
  bool training = false;
  int64_t max_pixels = 0;
  std::array<std::array<float, 256>, 3> values;  // of each byte of each channel, normalised

  Image render(Bytes file, StreamKey key) const;
  Image central(Bytes file) const;
  Image random_part(Bytes file, StreamKey key) const;
};

Image ImageTransform::Recipe::central(Bytes file) const {
  // Before the pixels are decoded: what is too small is refused for nothing.
  const Geometry geometry = geometry_of(preprocessing, image_size(file, max_pixels));
  return resize_window(decode_image(file, max_pixels), geometry.resized, geometry.window, preprocessing.filter);
}

Image ImageTransform::Recipe::random_part(Bytes file, StreamKey key) const {
  const ImageSize input = {preprocessing.size, preprocessing.size};
  const Box box = random_resized_box(image_size(file, max_pixels), augment.crop_scale, key);
  const DecodedPart part = decode_part(file, box, input, max_pixels);
  return resize(part.image, part.left, part.top, part.width, part.height, input, Filter::kBicubic);
}

Image ImageTransform::Recipe::render(Bytes file, StreamKey key) const {
  if (!training) return central(file);
  Image image = augment.random_resized_crop ? random_part(file, key) : central(file);
  data::augment(image, augment, key);
  return image;
}

ImageTransform::ImageTransform(const DataConfig& config, Split split) {
  auto recipe = std::make_shared<Recipe>();
  recipe->preprocessing = preprocessing_of(config);
  recipe->augment = config.augment;
  recipe->training = split == Split::kTrain;
  recipe->max_pixels = config.max_pixels;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const double value = static_cast<double>(byte) / 255.0;
      recipe->values[c][byte] =
          static_cast<float>((value - recipe->preprocessing.mean[c]) / recipe->preprocessing.std[c]);
    }
  }
  recipe_ = std::move(recipe);
}

std::optional<ImageTransform> ImageTransform::unaugmented() const {
  if (!recipe_->training || recipe_->augment == AugmentConfig()) return std::nullopt;
  auto plain = std::make_shared<Recipe>(*recipe_);
  plain->augment = {};
  return ImageTransform(std::move(plain));
}

at::Tensor ImageTransform::operator()(Bytes file, StreamKey augmentation) const {
  const Image image = recipe_->render(file, augmentation);
  const int64_t pixels = image.height * image.width;
  at::Tensor out = at::empty({3, image.height, image.width}, at::TensorOptions().dtype(at::kFloat));
  auto* to = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < pixels; ++i) {
    const uint8_t* pixel = image.pixels.data() + 3 * i;
    for (int64_t c = 0; c < 3; ++c) to[c * pixels + i] = recipe_->values[static_cast<size_t>(c)][pixel[c]];
  }
  return out;
}

Json ImageTransform::preprocessing() const { return recipe_->preprocessing.to_json(); }

Json ImageTransform::augmentation() const {
  if (!recipe_->training) return {};
  const AugmentConfig& augment = recipe_->augment;
  Json out = Json::object({{"flip", augment.flip},
                           {"random_resized_crop", augment.random_resized_crop},
                           {"three_augment", augment.three_augment},
                           {"colour_jitter", augment.colour_jitter}});
  if (augment.random_resized_crop) out["crop_scale"] = Json::array(augment.crop_scale);
  return out;
}

}  // namespace acm::data
