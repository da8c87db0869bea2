#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "nn/model_file.h"

namespace acm::nn {

// What a reader of another library's weights wants of them.
struct ImportOptions {
  int64_t image_size = 0;  // side in pixels: position embeddings are interpolated (bicubic, as timm does) where the
                           // weights were trained at another; 0: as they were trained
  int64_t classes = 0;     // that labels need; 0: as the head has. Error(kUsage) where the head has fewer
  bool new_head = false;   // a zero head where the number of classes differs from `classes`
  int64_t heads = 0;       // attention heads; 0: of config.json, else as the published models of that width have
};

struct Imported {
  ModelFile file;      // dense, as one of our model files; its preprocessing is null: weights do not tell it
  std::string scheme;  // "timm", "huggingface", "torchvision"
  std::vector<std::string> notes;  // sentences for the log: what was taken for granted, changed or left out
};

// Whether `path` holds weights of another library: a safetensors file without our metadata, the index of its shards, or
// a folder. Error(kData) says what a file is that is no safetensors. A folder that `acm_dist export` wrote for an ACM
// model is ours.
bool is_foreign(const std::filesystem::path& path);
// The file itself, or the model file in a folder that holds one of our models.
std::filesystem::path model_file_in(const std::filesystem::path& path);
// What load_model(path) depends on: XXH3 of one of our model files; over every file that import_weights() reads.
std::string digest_of_weights(const std::filesystem::path& path);

// Reads a ViT or DeiT written by timm, Hugging Face or torchvision: a safetensors file, or a folder with
// model.safetensors (or shards and their index), and the config.json beside it. The scheme is recognised by the names,
// sizes by the shapes. Error(kData) lists everything missing, unexpected or of another shape at once, and names what a
// file is that is no safetensors (pickle, Git-LFS pointer, HTML).
Imported import_weights(const std::filesystem::path& path, const ImportOptions& options);

// Writes model.safetensors and config.json under another library's names; import_weights() reads them back bit by bit.
// Scheme "acm": any of our models, with model.json, which says how to rebuild it. Error(kUsage) where the library
// has no such model, or where the folder holds a run's model. Returns sentences on what the user of that library has to
// know.
std::vector<std::string> export_weights(const ModelFile& model, const std::string& scheme,
                                        const std::filesystem::path& folder);

}  // namespace acm::nn
