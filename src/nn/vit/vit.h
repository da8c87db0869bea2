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
  // What the head reads, normalised: "class": the class token; "mean": the mean of the patch tokens, and there is no
  // class token; "patch_mean": that mean, beside a class token that only takes part in attention.
  std::string pooling = "class";
  double eps = 1e-6;                // of every LayerNorm
  bool qkv_bias = true;             // whether q, k and v add a bias
  bool layer_scale = false;         // a learned factor for each channel of what a residual adds (CaiT, DeiT-III)
  bool prefix_positions = true;     // whether class and distillation token have position embeddings
  bool distillation_token = false;  // DeiT: a second token after the class token
  bool distillation_head = false;   // DeiT: a head of its own for it; the outputs are the mean of both heads

  int64_t patches() const { return (height / patch) * (width_pixels / patch); }
  int64_t prefix_tokens() const { return (pooling == "mean" ? 0 : 1) + (distillation_token ? 1 : 0); }
  int64_t positions() const { return patches() + (prefix_positions ? prefix_tokens() : 0); }
};

// Error(kUsage) where the sizes do not fit together. Parameters are uninitialised.
std::shared_ptr<Backbone> make_vit(const VitConfig& config);

// The same sizes as a backbone's description (Backbone::description()) and back. Error(kData) names a missing member;
// those that descriptions have not always had (qkv_bias and what follows it) may be absent and then are as above.
Json description_of(const VitConfig& config);
VitConfig vit_config_from(const Json& description);
// Error(kUsage) for the first size that does not fit.
void check(const VitConfig& config);

}  // namespace acm::nn
