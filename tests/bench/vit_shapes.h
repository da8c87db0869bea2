#pragma once

#include <string>

#include "nn/vit/vit.h"

namespace acm::bench {

// Vision Transformers that the benchmarks know by name: "tiny" (ViT-Ti/16) and "base" (ViT-B/16), both at 224 with 1000
// classes, and "quick", the quick start's: for tests of the benchmarks themselves.
inline nn::VitConfig vit_shape(const std::string& model) {
  if (model == "quick") return {};
  const int64_t width = model == "base" ? 768 : 192;
  return {.channels = 3,
          .height = 224,
          .width_pixels = 224,
          .patch = 16,
          .width = width,
          .depth = 12,
          .heads = width / 64,
          .hidden = 4 * width,
          .classes = 1000};
}

}  // namespace acm::bench
