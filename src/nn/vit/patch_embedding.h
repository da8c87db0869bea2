#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "nn/vit/vit.h"

namespace acm::nn {

// Cuts images into square patches and maps each to a token: what a convolution with kernel and stride `patch` does,
// written as a matrix product, because the weight gradient of a convolution depends on the number of threads.
class PatchEmbedding final : public torch::nn::Module {
 public:
  explicit PatchEmbedding(const VitConfig& config);
  // Images [samples, channels, height, width] of any dtype -> [samples, patches, width], patches row by row.
  // Error(kUsage) where the images have another shape than the backbone was built for.
  at::Tensor forward(const at::Tensor& images) const;
  int64_t patches() const { return rows_ * columns_; }
  int64_t macs() const { return patches() * weight.numel(); }  // of one image

  at::Tensor weight, bias;  // [width, channels, patch, patch], as a convolution stores it; [width]

 private:
  int64_t rows_, columns_;  // of patches
};

}  // namespace acm::nn
