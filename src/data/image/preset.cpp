#include "data/image/preset.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/error.h"
#include "data/image/picture_limits.h"

namespace acm::data {
namespace {

constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406}, kImageNetStd = {0.229, 0.224, 0.225};
constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};

// timm's crop_pct of its ViT and DeiT models.
int64_t nine_tenths(int64_t size) { return static_cast<int64_t>(std::floor(static_cast<double>(size) / 0.9)); }

// The constants of each family as its library publishes them (docs/data.md has the table).
Preprocessing of_preset(const std::string& name, int64_t size) {
  using enum Preprocessing::Resize;
  if (name == "none") return {size, kNone, 0, Filter::kBicubic, {0, 0, 0}, {1, 1, 1}};
  if (name == "augreg") return {size, kShorterSide, nine_tenths(size), Filter::kBicubic, kHalf, kHalf};
  if (name == "deit") return {size, kShorterSide, nine_tenths(size), Filter::kBicubic, kImageNetMean, kImageNetStd};
  if (name == "torchvision") {
    return {size, kShorterSide, size * 256 / 224, Filter::kBilinear, kImageNetMean, kImageNetStd};
  }
  if (name == "huggingface") return {size, kWhole, 0, Filter::kBilinear, kHalf, kHalf};
  throw std::logic_error("no preset is called " + name);
}

// One number stands for all channels.
void override(std::array<double, 3>& values, const std::vector<double>& given) {
  for (size_t c = 0; c < 3 && !given.empty(); ++c) values[c] = given[given.size() == 3 ? c : 0];
}

// Python's round((length - part) / 2): halves to the even side.
int64_t central_offset(int64_t length, int64_t part) {
  const int64_t rest = length - part, half = rest / 2;
  return rest % 2 == 0 ? half : half + half % 2;
}

ImageSize shorter_side_to(int64_t side, const ImageSize& picture) {
  if (picture.width <= picture.height) return {side * picture.height / picture.width, side};
  return {side, side * picture.width / picture.height};
}

}  // namespace

Preprocessing preprocessing_of(const DataConfig& config) {
  Preprocessing out = of_preset(config.preset, config.size);
  if (config.resize >= 0) {
    out.resize = config.resize == 0 ? Preprocessing::Resize::kNone : Preprocessing::Resize::kShorterSide;
    out.shorter_side = config.resize;
  }
  if (config.interpolation != "preset") {
    out.filter = config.interpolation == "bilinear" ? Filter::kBilinear : Filter::kBicubic;
  }
  override(out.mean, config.mean);
  override(out.std, config.std);
  if (out.resize == Preprocessing::Resize::kShorterSide && out.shorter_side < out.size) {
    throw Error(Fault::kUsage, "cannot cut inputs of data.size = " + std::to_string(out.size) +
                                   " from images whose shorter side is resized to " + std::to_string(out.shorter_side) +
                                   " (data.resize): make it at least as large");
  }
  return out;
}

Geometry geometry_of(const Preprocessing& preprocessing, const ImageSize& picture) {
  const int64_t size = preprocessing.size;
  if (preprocessing.resize == Preprocessing::Resize::kWhole) return {{size, size}, {0, 0, size, size}};
  const bool as_it_is = preprocessing.resize == Preprocessing::Resize::kNone;
  const ImageSize resized = as_it_is ? picture : shorter_side_to(preprocessing.shorter_side, picture);
  if (resized.width < size || resized.height < size) {
    throw Error(Fault::kData, "it has " + size_text(picture) + ", less than data.size = " + std::to_string(size) +
                                  ", and images are not resized: choose data.preset or data.resize");
  }
  return {resized, {central_offset(resized.width, size), central_offset(resized.height, size), size, size}};
}

Json Preprocessing::to_json() const {
  Json resized = resize == Resize::kNone ? Json(0) : resize == Resize::kWhole ? Json("whole") : Json(shorter_side);
  return Json::object({{"channels", 3},
                       {"height", size},
                       {"width", size},
                       {"resize", std::move(resized)},
                       {"interpolation", filter == Filter::kBilinear ? "bilinear" : "bicubic"},
                       {"mean", Json::array(mean)},
                       {"std", Json::array(std)}});
}

}  // namespace acm::data
