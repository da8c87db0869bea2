#include "nn/vit/patch_embedding.h"

#include <ATen/ops/conv2d.h>
#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

TEST(PatchEmbedding, IsAConvolutionWhoseStrideIsItsKernel) {
  const VitConfig config = small_vit();
  PatchEmbedding embedding(config);
  embedding.to(at::kDouble);
  scatter(embedding);
  const at::Tensor images = image_batch(config, 3).inputs.to(at::kDouble);
  const at::Tensor expected =
      at::conv2d(images, embedding.weight, embedding.bias, config.patch).flatten(2).transpose(1, 2);
  EXPECT_EQ(embedding.patches(), 6);
  EXPECT_LT(relative_difference(embedding.forward(images), expected), 1e-14);
}

TEST(PatchEmbedding, RefusesImagesOfAnotherShape) {
  PatchEmbedding embedding(small_vit());
  scatter(embedding);
  VitConfig turned = small_vit();
  std::swap(turned.height, turned.width_pixels);
  expect_error(Fault::kUsage, "shape [1, 2, 12, 8]: this backbone was built for [samples, 2, 8, 12]",
               [&] { embedding.forward(image_batch(turned, 1).inputs); });
}

}  // namespace
}  // namespace acm::nn
