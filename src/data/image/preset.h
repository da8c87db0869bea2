#pragma once

#include <array>

#include "core/json.h"
#include "data/image/resize.h"
#include "data/open.h"

namespace acm::data {

// How evaluation makes an input of `size` x `size` from a picture: the resize, the central crop, the normalisation.
struct Preprocessing {
  enum class Resize { kNone, kShorterSide, kWhole };  // kWhole: straight to size x size, whatever the shape
  int64_t size = 224;
  Resize resize = Resize::kNone;
  int64_t shorter_side = 0;  // after kShorterSide
  Filter filter = Filter::kBicubic;
  std::array<double, 3> mean = {0, 0, 0}, std = {1, 1, 1};  // of values in [0, 1]
  Json to_json() const;
};

// What data.preset says, with data.resize, interpolation, mean and std in its place where they are given. Error(kUsage)
// where the crop would be larger than the resized picture.
Preprocessing preprocessing_of(const DataConfig& config);

// The size of the resized picture (kNone: its own), and the part of it that is the input. Error(kData) where the
// picture is smaller than the input and is not resized.
struct Geometry {
  ImageSize resized;
  Box window;
};
Geometry geometry_of(const Preprocessing& preprocessing, const ImageSize& picture);

}  // namespace acm::data
