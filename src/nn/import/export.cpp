#include <ATen/ops/cat.h>

#include "core/error.h"
#include "core/file.h"
#include "nn/import.h"
#include "nn/import/scheme.h"

namespace acm::nn {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kDescription = "model.json";
const io::Metadata kMadeByTorch = {{"format", "pt"}};  // without it, Hugging Face's reader refuses a file

io::NamedTensors renamed(const ModelFile& model, const Scheme& scheme, const VitConfig& config) {
  io::NamedTensors tensors;
  for (const TensorPlace& place : written_places(scheme, config)) {
    std::vector<at::Tensor> parts;
    for (const std::string& ours : place.ours) {
      if (const auto found = model.tensors.find(ours); found != model.tensors.end()) parts.push_back(found->second);
    }
    if (parts.empty()) continue;
    TORCH_CHECK(parts.size() == place.ours.size(), "a model without a part of ", place.theirs);
    tensors.emplace(place.theirs, parts.size() == 1 ? parts.front() : at::cat(parts, 0));
  }
  return tensors;
}

// A run folder's last model has the same name as an exported one.
void check_free(const fs::path& folder) {
  if (!fs::exists(folder / kWeights) || fs::exists(folder / kDescription) || is_foreign(folder / kWeights)) return;
  throw Error(Fault::kUsage, "cannot export to " + folder.string() + ": its " + kWeights +
                                 " is a model of ours that was not exported; name another folder");
}

std::vector<std::string> export_as_ours(const ModelFile& model, const fs::path& folder) {
  io::Metadata metadata = kMadeByTorch;
  metadata[kModelMetadata] = model.description.dump();
  io::write_safetensors(folder / kWeights, model.tensors, metadata, io::SelfCheck::kYes);
  replace_file(folder / kDescription, model.description.dump(1) + "\n");
  return {};
}

std::vector<std::string> export_as(const ModelFile& model, const Scheme& scheme, const fs::path& folder) {
  const auto refuse = [&](const std::string& why) {
    throw Error(Fault::kUsage, "cannot export to " + scheme.name + ": " + why);
  };
  if (!model.description.at("sites").as_array().empty()) {
    refuse("it is an ACM model, which that library does not know; leave out --to and see docs/weights.md");
  }
  const VitConfig config = vit_config_from(model.description.at("backbone"));
  if (const std::string why = scheme.obstacle(config); !why.empty()) refuse(why);
  io::write_safetensors(folder / kWeights, renamed(model, scheme, config), kMadeByTorch);
  replace_file(folder / "config.json", scheme.write_config(config).dump(2) + "\n");
  if (config.eps == scheme.eps || scheme.name == "huggingface") return {};
  return {"this model's LayerNorm has eps " + Json(config.eps).dump() + " and " + scheme.name + "'s " +
          Json(scheme.eps).dump() + ": set it there (norm_layer), or its outputs differ a little"};
}

}  // namespace

std::vector<std::string> export_weights(const ModelFile& model, const std::string& scheme, const fs::path& folder) {
  check_free(folder);
  make_folder(folder);
  return scheme == "acm" ? export_as_ours(model, folder) : export_as(model, scheme_named(scheme), folder);
}

}  // namespace acm::nn
