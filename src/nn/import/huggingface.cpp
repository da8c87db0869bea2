// Names of Hugging Face transformers: ViTForImageClassification, DeiTForImageClassification and
// DeiTForImageClassificationWithTeacher, and their base models, which have no prefix and no classifier.
#include "nn/import/scheme.h"

namespace acm::nn {
namespace {

constexpr double kEps = 1e-12;

bool one_head(const VitConfig& config) { return !config.distillation_head; }
bool two_heads(const VitConfig& config) { return config.distillation_head; }
std::string prefix(const VitConfig& config) { return config.distillation_token ? "deit." : "vit."; }

LibraryConfig read_config(const Json& json) {
  const auto must_be = [&](const char* name, std::initializer_list<const char*> known) {
    const Json* found = json.find(name);
    if (found == nullptr) return;
    for (const char* value : known) {
      if (*found == Json(value)) return;
    }
    refuse_config(std::string("its ") + name + " is " + found->dump());
  };
  must_be("model_type", {"vit", "deit"});
  must_be("hidden_act", {"gelu"});
  LibraryConfig config;
  config.heads = optional_int(json, "num_attention_heads");
  if (const Json* eps = json.find("layer_norm_eps")) config.eps = eps->as_double();
  if (const Json* size = json.find("image_size"); size != nullptr && size->is_array()) {
    config.image = {size->as_array().at(0).as_int(), size->as_array().at(1).as_int()};
  } else if (size != nullptr && !size->is_null()) {
    config.image = {size->as_int(), size->as_int()};
  }
  for (const auto& [theirs, ours] : {std::pair{"hidden_size", "width"},
                                     {"num_hidden_layers", "depth"},
                                     {"intermediate_size", "hidden"},
                                     {"num_channels", "channels"}}) {
    if (const auto size = optional_int(json, theirs)) config.sizes.emplace_back(ours, *size);
  }
  return config;
}

Json write_config(const VitConfig& config) {
  Json names = Json::object(), numbers = Json::object();
  for (int64_t i = 0; i < config.classes; ++i) {
    const std::string number = std::to_string(i), name = "LABEL_" + number;
    names[number] = name;
    numbers[name] = i;
  }
  const bool square = config.height == config.width_pixels;
  const char* architecture = !config.distillation_token ? "ViTForImageClassification"
                             : config.distillation_head ? "DeiTForImageClassificationWithTeacher"
                                                        : "DeiTForImageClassification";
  return Json::object(
      {{"architectures", Json::Array{architecture}},
       {"model_type", config.distillation_token ? "deit" : "vit"},
       {"hidden_act", "gelu"},
       {"attention_probs_dropout_prob", 0.0},
       {"hidden_dropout_prob", 0.0},
       {"hidden_size", config.width},
       {"num_hidden_layers", config.depth},
       {"num_attention_heads", config.heads},
       {"intermediate_size", config.hidden},
       {"image_size", square ? Json(config.height) : Json(Json::Array{config.height, config.width_pixels})},
       {"patch_size", config.patch},
       {"num_channels", config.channels},
       {"layer_norm_eps", config.eps},
       {"qkv_bias", config.qkv_bias},
       {"id2label", names},
       {"label2id", numbers}});
}

std::string obstacle(const VitConfig& config) {
  if (config.pooling != "class") return "its classifiers read the class token, and this model averages patch tokens";
  if (config.layer_scale) return "its ViT has no layer scale";
  if (!config.prefix_positions) return "its ViT has position embeddings for the class token";
  return "";
}

}  // namespace

const Scheme& huggingface_scheme() {
  static const Scheme scheme = {
      .name = "huggingface",
      .marker = "@embeddings.patch_embeddings.projection.weight",
      .eps = kEps,
      .rows = {{{"cls_token"}, "@embeddings.cls_token"},
               {{"distillation_token"}, "@embeddings.distillation_token"},
               {{"pos_embed"}, "@embeddings.position_embeddings"},
               {{"patch_embed.*"}, "@embeddings.patch_embeddings.projection.*"},
               {{"blocks.#.norm1.*"}, "@encoder.layer.#.layernorm_before.*"},
               {{"blocks.#.q.*"}, "@encoder.layer.#.attention.attention.query.*"},
               {{"blocks.#.k.*"}, "@encoder.layer.#.attention.attention.key.*"},
               {{"blocks.#.v.*"}, "@encoder.layer.#.attention.attention.value.*"},
               {{"blocks.#.o.*"}, "@encoder.layer.#.attention.output.dense.*"},
               {{"blocks.#.norm2.*"}, "@encoder.layer.#.layernorm_after.*"},
               {{"blocks.#.ffn.fc1.*"}, "@encoder.layer.#.intermediate.dense.*"},
               {{"blocks.#.ffn.fc2.*"}, "@encoder.layer.#.output.dense.*"},
               {{"norm.*"}, "@layernorm.*"},
               {{"head.*"}, "classifier.*", one_head},
               {{"head.*"}, "cls_classifier.*", two_heads},
               {{"distillation_head.*"}, "distillation_classifier.*"}},
      .prefixes = {"vit.", "deit.", ""},
      .prefix = prefix,
      .ignored = {"@pooler.", "@embeddings.mask_token", "decoder."},
      .foreign = {{"attention.attention.q_norm", "normalised queries"},
                  {"layer_scale", "layer scale (DINOv2)"},
                  {"register_tokens", "register tokens (DINOv2)"}},
      .read_config = read_config,
      .write_config = write_config,
      .obstacle = obstacle,
  };
  return scheme;
}

}  // namespace acm::nn
