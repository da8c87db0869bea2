#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <memory>
#include <string>

#include "nn/random_tensor.h"
#include "nn/vit/vit.h"

namespace acm::nn {

// Sizes that all differ, so that no mix-up of two of them goes unseen.
inline VitConfig small_vit(const std::string& pooling = "class") {
  return {.channels = 2,
          .height = 8,
          .width_pixels = 12,
          .patch = 4,
          .width = 16,
          .depth = 2,
          .heads = 2,
          .hidden = 24,
          .classes = 7,
          .pooling = pooling};
}

// Every parameter far from where initialise() puts it, so that each has a visible effect.
inline void scatter(torch::nn::Module& module) {
  for (auto& parameter : module.named_parameters()) {
    fill_normal(parameter.value(), StreamKey(5).with(parameter.key()), 0.5);
  }
}

inline std::shared_ptr<Backbone> scattered_vit(const VitConfig& config) {
  auto vit = make_vit(config);
  scatter(*vit);
  return vit;
}

inline data::Batch image_batch(const VitConfig& config, int64_t samples) {
  data::Batch batch;
  batch.inputs = at::empty({samples, config.channels, config.height, config.width_pixels});
  fill_uniform(batch.inputs, StreamKey(3), -1.0, 1.0);
  batch.positions = at::arange(samples, at::kLong);
  batch.labels = batch.positions.remainder(config.classes);
  return batch;
}

inline at::Tensor logits_of(Backbone& backbone, const data::Batch& batch) {
  TokenContext context;
  return backbone.forward(batch, context);
}

// Largest difference as a share of the largest expected magnitude.
inline double relative_difference(const at::Tensor& found, const at::Tensor& expected) {
  const double scale = expected.abs().max().item<double>();
  return (found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>() / scale;
}

}  // namespace acm::nn
