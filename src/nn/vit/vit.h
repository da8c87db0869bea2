#pragma once

#include <memory>
#include <string>

#include "nn/backbone.h"

namespace acm::nn {

// Sizes of a Vision Transformer (Dosovitskiy et al. 2020, pre-norm, exact GELU).
struct VitConfig {
  int64_t channels = 1, height = 28, width_pixels = 28;  // of the image
  int64_t patch = 7;                                     // side of a square patch; divides height and width_pixels
  int64_t width = 64, depth = 4, heads = 4, hidden = 256;
  int64_t classes = 10;
  std::string pooling =
      "class";  // "class": a class token, normalised; "mean": no class token, the normalised mean of the patch tokens
  double eps = 1e-6;  // of every LayerNorm
};

// Error(kUsage) where the sizes do not fit together. Parameters are uninitialised.
std::shared_ptr<Backbone> make_vit(const VitConfig& config);

// The same sizes as a backbone's description (Backbone::description()) and back. Error(kData) names a missing member.
Json description_of(const VitConfig& config);
VitConfig vit_config_from(const Json& description);
// Error(kUsage) for the first size that does not fit.
void check(const VitConfig& config);

}  // namespace acm::nn
