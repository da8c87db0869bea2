#pragma once

#include "core/file.h"
#include "nn/import.h"
#include "unit/core/scratch.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {

// Sizes that every library can hold; 16 heads a width of 64 would be another model.
inline VitConfig library_vit() {
  return {.channels = 3,
          .height = 12,
          .width_pixels = 12,
          .patch = 4,
          .width = 16,
          .depth = 3,
          .heads = 4,
          .hidden = 24,
          .classes = 7};
}

inline ModelFile model_file_of(const Backbone& vit) {
  return {
      .description = Json::object(
          {{"format", kModelFormat}, {"backbone", vit.description()}, {"dtype", "float32"}, {"sites", Json::Array{}}}),
      .tensors = named_parameters(vit),
      .digest = ""};
}

// A random model of this shape under a library's names in a folder of its own.
inline std::filesystem::path write_library(const Scratch& scratch, const VitConfig& config,
                                           const std::string& library) {
  export_weights(model_file_of(*scattered_vit(config)), library, scratch / library);
  return scratch / library;
}

// Reads the tensors of model.safetensors, lets `change` alter them, and writes them back.
template <typename Change>
void change_tensors(const std::filesystem::path& folder, Change change) {
  auto tensors = io::SafetensorsFile(folder / "model.safetensors").read_all();
  change(tensors);
  io::write_safetensors(folder / "model.safetensors", tensors);
}

inline void rename(io::NamedTensors& tensors, const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  ASSERT_FALSE(node.empty()) << from;
  node.key() = to;
  tensors.insert(std::move(node));
}

}  // namespace acm::nn
