#pragma once

#include <filesystem>
#include <string>

#include "core/json.h"
#include "io/safetensors.h"
#include "nn/backbone.h"

namespace acm::nn {

constexpr int64_t kModelFormat = 1;
constexpr const char* kModelMetadata = "acm_dist";  // under which the description stands

// A model file: safetensors whose metadata `acm_dist` holds one canonical JSON that says how to rebuild the model:
// {"format", "phase", "dtype", "backbone", "preprocessing", "sites", "gate", "parent"}. `sites` is empty for a dense
// model; acm/model.h reads it. Nothing in it depends on time, host, rank count or path.
struct ModelFile {
  Json description;
  io::NamedTensors tensors;
  std::string digest;  // of the whole file
};

// Error(kData) where the file is missing, damaged, not one of ours or of a newer format.
ModelFile read_model_file(const std::filesystem::path& path);
// Sets the description's "format"; the rest is the caller's.
void write_model_file(const std::filesystem::path& path, const Json& description, const io::NamedTensors& tensors);
void write_model_file(const std::filesystem::path& path, const Json& description, const torch::nn::Module& model);

// The description alone, checked as by read_model_file.
Json read_description(const std::filesystem::path& path);
// Puts another description into a model file of ours and leaves its tensors as they are, atomically.
void replace_description(const std::filesystem::path& path, const Json& description);

// Copies tensors into the module's parameters of the same names; nothing is converted, so give the module the file's
// dtype first. Error(kData) lists everything missing, unexpected or of another dtype or shape, after `what` (such as
// the file's path), and then nothing was copied.
void load_parameters(torch::nn::Module& model, const io::NamedTensors& tensors, const std::string& what);
// The parameters by name: detached, contiguous, on the CPU; they share memory with the module where they already are
// that.
io::NamedTensors named_parameters(const torch::nn::Module& model);

}  // namespace acm::nn
