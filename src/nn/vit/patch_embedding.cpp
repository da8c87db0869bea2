#include "nn/vit/patch_embedding.h"

#include <ATen/ops/empty.h>

#include <sstream>

#include "core/error.h"
#include "nn/kernels/feed_forward.h"

namespace acm::nn {

PatchEmbedding::PatchEmbedding(const VitConfig& config)
    : rows_(config.height / config.patch), columns_(config.width_pixels / config.patch) {
  weight = register_parameter("weight", at::empty({config.width, config.channels, config.patch, config.patch}));
  bias = register_parameter("bias", at::empty({config.width}));
}

at::Tensor PatchEmbedding::forward(const at::Tensor& images) const {
  const int64_t channels = weight.size(1), patch = weight.size(2);
  if (images.dim() != 4 || images.size(1) != channels || images.size(2) != rows_ * patch ||
      images.size(3) != columns_ * patch) {
    std::ostringstream message;
    message << "cannot embed images of shape " << images.sizes() << ": this backbone was built for [samples, "
            << channels << ", " << rows_ * patch << ", " << columns_ * patch
            << "]; make the backbone's sizes fit the data";
    throw Error(Fault::kUsage, message.str());
  }
  const at::Tensor pixels = images.to(bias.scalar_type())
                                .reshape({images.size(0), channels, rows_, patch, columns_, patch})
                                .permute({0, 2, 4, 1, 3, 5})
                                .reshape({images.size(0), patches(), channels * patch * patch});
  return linear(pixels, weight.flatten(1), bias);
}

}  // namespace acm::nn
