#include "nn/import/adapt.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace acm::nn {
namespace {

std::string times(int64_t rows, int64_t columns) { return std::to_string(rows) + " x " + std::to_string(columns); }

}  // namespace

// timm's resample_abs_pos_embed(): bicubic with antialiasing, corners not aligned, in float32; embeddings of tokens
// before the patches stay.
void adapt_positions(VitConfig& config, int64_t image_size, Imported& imported) {
  if (image_size <= 0 || (config.height == image_size && config.width_pixels == image_size)) return;
  if (image_size % config.patch != 0) {
    throw Error(Fault::kUsage, "images of " + times(image_size, image_size) +
                                   " pixels cannot be cut into its patches of " + times(config.patch, config.patch) +
                                   "; use a multiple of " + std::to_string(config.patch));
  }
  const int64_t rows = config.height / config.patch, columns = config.width_pixels / config.patch;
  const int64_t side = image_size / config.patch, prefix = config.positions() - config.patches();
  at::Tensor& positions = imported.file.tensors.at("pos_embed");
  const at::Tensor grid = positions.narrow(1, prefix, config.patches())
                              .to(at::kFloat)
                              .reshape({1, rows, columns, config.width})
                              .permute({0, 3, 1, 2});
  const at::Tensor resized = at::_upsample_bicubic2d_aa(grid, {side, side}, /*align_corners=*/false)
                                 .permute({0, 2, 3, 1})
                                 .reshape({1, side * side, config.width});
  positions = at::cat({positions.narrow(1, 0, prefix), resized.to(positions.scalar_type())}, 1);
  config.height = config.width_pixels = image_size;
  imported.notes.push_back("position embeddings of " + times(rows, columns) +
                           " patches were interpolated (bicubic) to " + times(side, side) + " for images of " +
                           times(image_size, image_size) + " pixels");
}

void adapt_head(VitConfig& config, const ImportOptions& options, Imported& imported) {
  auto& tensors = imported.file.tensors;
  const bool headless = !tensors.contains("head.weight");
  const bool other = options.classes > 0 && options.classes != config.classes;
  if (options.new_head && options.classes <= 0) {
    throw Error(Fault::kUsage, "a new head needs a number of classes");
  }
  if (!options.new_head && (headless || options.classes > config.classes)) {
    throw Error(Fault::kUsage,
                (headless ? std::string("it has no head")
                          : "its head tells " + std::to_string(config.classes) +
                                " classes apart, and the labels need " + std::to_string(options.classes)) +
                    "; give it a new one (backbone.new_head = true, or import --classes C --new-head)");
  }
  if (!options.new_head || (!headless && !other)) return;
  const at::TensorOptions like = tensors.at("norm.weight").options();
  for (const std::string head : {"head", "distillation_head"}) {
    if (head != "head" && !config.distillation_head) continue;
    tensors[head + ".weight"] = at::zeros({options.classes, config.width}, like);
    tensors[head + ".bias"] = at::zeros({options.classes}, like);
  }
  imported.notes.push_back(
      (headless ? "it has no head: a new one for "
                : "its head for " + std::to_string(config.classes) + " classes was replaced by one for ") +
      std::to_string(options.classes) +
      " classes, all zeros, which says nothing until phase 3 (or another training) has filled it");
  config.classes = options.classes;
}

}  // namespace acm::nn
