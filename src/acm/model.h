#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "acm/acm_layer.h"
#include "nn/backbone.h"
#include "nn/import.h"
#include "nn/model_file.h"

namespace acm {

// How sites become ACMs: the keys of [acm] that shape a model.
struct SurgeryConfig {
  int64_t learners = 4;
  std::vector<std::string> kinds = {"ffn", "q", "k", "v", "o"};  // site kinds or full site names
  Activation projection_activation = Activation::kIdentity;      // FFN sites always use GELU
  bool output_bias = false;
};

// Indices of a backbone's sites that `kinds` selects, ascending; Error(kUsage) for a name that selects nothing.
std::vector<size_t> selected_sites(const std::vector<nn::Site>& sites, const std::vector<std::string>& kinds);
AcmShape shape_of(const nn::Site& site, const SurgeryConfig& config);

// Replaces the selected sites by ACM layers without gates; each layer's learners start from key.with(site name). Other
// parameters stay.
void convert_sites(nn::Backbone& backbone, const SurgeryConfig& config, StreamKey key);
// Gives every ACM layer a gate, initialised from key.with(site name).
void add_gates(nn::Backbone& backbone, const GateConfig& config, StreamKey key);

// The ACM layers of a model, by ascending site index.
struct AcmSite {
  size_t index;
  const nn::Site* site;
  AcmLayer* layer;
};
std::vector<AcmSite> acm_sites(nn::Backbone& backbone);

struct Model {
  std::shared_ptr<nn::Backbone> backbone;
  Json description;    // of the file it came from; the preprocessing of another library's weights is null: unknown
  std::string digest;  // nn::digest_of_weights()
  std::vector<std::string> notes = {};  // what the log should say of another library's weights
};
// Rebuilds a model, dense or ACM, from its file alone; parameters keep the file's dtype. Weights of another library (a
// file or a folder) are imported by the options, which mean nothing to models of ours.
Model load_model(const std::filesystem::path& path, const nn::ImportOptions& options = {});
// Writes `backbone` with what a reader needs to rebuild it. `phase` is "pretrain", "distill", "gating" or "finetune";
// `parent` the digest of the model file it was made from.
void save_model(const std::filesystem::path& path, nn::Backbone& backbone, const std::string& phase,
                const Json& preprocessing, const std::string& parent);

}  // namespace acm
