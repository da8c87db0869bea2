#pragma once

#include <memory>
#include <optional>

#include "core/json.h"
#include "data/image/decode.h"
#include "data/open.h"
#include "data/source.h"

namespace acm::data {

// From the bytes of a picture to an input [3, size, size], float32, normalised: decode, resize and crop as the preset
// says (evaluation), or as [augment] says (training). Any thread.
class ImageTransform {
 public:
  ImageTransform(const DataConfig& config, Split split);
  at::Tensor operator()(Bytes file, StreamKey augmentation) const;
  Json preprocessing() const;  // size, resize, interpolation, mean, std: stored in model files
  Json augmentation() const;   // for identities; null in evaluation
  // The same without what [augment] adds; nothing where it adds nothing.
  std::optional<ImageTransform> unaugmented() const;

 private:
  struct Recipe;
  explicit ImageTransform(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}

  std::shared_ptr<const Recipe> recipe_;
};

}  // namespace acm::data
