// Names of timm's VisionTransformer and of the original DeiT files, which timm took over.
#include <algorithm>

#include "nn/import/scheme.h"

namespace acm::nn {
namespace {

bool normalises_tokens(const VitConfig& config) { return config.pooling == "class"; }
bool normalises_means(const VitConfig& config) { return config.pooling != "class"; }
bool never(const VitConfig&) { return false; }

std::string text_of(const Json& object, const char* name) {
  const Json* found = object.find(name);
  return found != nullptr && found->is_string() ? found->as_string() : "";
}

// global_pool stands beside model_args, in them, or in neither.
std::string pooling_in(const Json& config) {
  const std::string pooling = text_of(config, "global_pool");
  const Json* arguments = config.find("model_args");
  return pooling.empty() && arguments != nullptr ? text_of(*arguments, "global_pool") : pooling;
}

void complete(VitConfig& config, const std::vector<std::string>& names, const Json& json) {
  const auto has = [&](const char* name) { return std::ranges::find(names, name) != names.end(); };
  const std::string pooling = pooling_in(json);
  if (!pooling.empty() && pooling != "token" && pooling != "avg") {
    refuse_config("its global_pool is '" + pooling + "', and token and avg are read");
  }
  const bool averages = pooling.empty() ? has("fc_norm.weight") : pooling == "avg";
  if (averages && has("norm.weight")) {
    refuse_config("its global_pool is avg with a norm before the mean (vit_*_gap), and only fc_norm after it is read");
  }
  if (!has("cls_token")) {
    config.pooling = "mean";
  } else if (averages) {
    config.pooling = "patch_mean";
  }
}

std::optional<std::pair<int64_t, int64_t>> image_in(const Json& arguments, const Json* pretrained) {
  if (const Json* size = arguments.find("img_size"); size != nullptr && !size->is_null()) {
    if (!size->is_array()) return std::pair{size->as_int(), size->as_int()};
    return std::pair{size->as_array().at(0).as_int(), size->as_array().at(1).as_int()};
  }
  const Json* input = pretrained != nullptr ? pretrained->find("input_size") : nullptr;
  if (input == nullptr || !input->is_array() || input->as_array().size() != 3) return std::nullopt;
  return std::pair{input->as_array()[1].as_int(), input->as_array()[2].as_int()};
}

// Arguments that change what is computed and leave names and shapes as they are.
void refuse_arguments(const Json& arguments) {
  for (const auto& [name, usual] : {std::pair{"act_layer", "gelu"}, {"norm_layer", "layernorm"}}) {
    const Json* found = arguments.find(name);
    if (found != nullptr && !found->is_null() && *found != Json(usual)) {
      refuse_config(std::string(name) + " is " + found->dump() + ", and only " + usual + " is read");
    }
  }
  const Json* include = arguments.find("pool_include_prefix");
  if (include != nullptr && *include == Json(true)) refuse_config("pool_include_prefix is true");
}

LibraryConfig read_config(const Json& json) {
  const Json* found = json.find("model_args");
  const Json arguments = found != nullptr && found->is_object() ? *found : Json::object();
  refuse_arguments(arguments);
  LibraryConfig config;
  config.heads = optional_int(arguments, "num_heads");
  if (const Json* eps = json.find("layer_norm_eps")) config.eps = eps->as_double();
  config.image = image_in(arguments, json.find("pretrained_cfg"));
  for (const auto& [theirs, ours] : {std::pair{"embed_dim", "width"}, {"depth", "depth"}}) {
    if (const auto size = optional_int(arguments, theirs)) config.sizes.emplace_back(ours, *size);
  }
  return config;
}

// The hidden width is int(width * mlp_ratio) there.
double mlp_ratio(const VitConfig& config) {
  const auto width = static_cast<double>(config.width), hidden = static_cast<double>(config.hidden);
  const double ratio = hidden / width;
  return static_cast<int64_t>(width * ratio) == config.hidden ? ratio : (hidden + 0.5) / width;
}

// create_model() starts from the architecture's arguments and lets model_args override them all.
Json write_config(const VitConfig& config) {
  const char* pooling = config.pooling == "class" ? "token" : "avg";
  const Json image = Json::Array{config.height, config.width_pixels};
  Json arguments = Json::object({{"img_size", image},
                                 {"patch_size", config.patch},
                                 {"in_chans", config.channels},
                                 {"embed_dim", config.width},
                                 {"depth", config.depth},
                                 {"num_heads", config.heads},
                                 {"mlp_ratio", mlp_ratio(config)},
                                 {"num_classes", config.classes},
                                 {"qkv_bias", config.qkv_bias},
                                 {"global_pool", pooling},
                                 {"class_token", config.pooling != "mean"},
                                 {"no_embed_class", !config.prefix_positions}});
  if (config.layer_scale) arguments["init_values"] = 1e-5;
  Json json = Json::object(
      {{"architecture", config.distillation_token ? "deit_base_distilled_patch16_224" : "vit_base_patch16_224"},
       {"num_classes", config.classes},
       {"num_features", config.width},
       {"global_pool", pooling},
       {"model_args", arguments},
       {"pretrained_cfg",
        Json::object(
            {{"input_size", Json::Array{config.channels, config.height, config.width_pixels}},
             {"num_classes", config.classes},
             {"first_conv", "patch_embed.proj"},
             {"classifier", config.distillation_head ? Json(Json::Array{"head", "head_dist"}) : Json("head")}})}});
  if (config.eps != timm_scheme().eps) json["layer_norm_eps"] = config.eps;
  return json;
}

std::string obstacle(const VitConfig& config) {
  if (config.distillation_token && !config.distillation_head)
    return "its DeiT always has two heads, and this model has a distillation token with one";
  if (config.distillation_token && !config.prefix_positions) return "its DeiT has position embeddings for both tokens";
  return "";
}

}  // namespace

const Scheme& timm_scheme() {
  static const Scheme scheme = {
      .name = "timm",
      .marker = "patch_embed.proj.weight",
      .eps = 1e-6,
      .rows = {{{"cls_token"}, "cls_token"},
               {{"distillation_token"}, "dist_token"},
               {{"pos_embed"}, "pos_embed"},
               {{"patch_embed.*"}, "patch_embed.proj.*"},
               {{"blocks.#.norm1.*"}, "blocks.#.norm1.*"},
               {{"blocks.#.q.*", "blocks.#.k.*", "blocks.#.v.*"}, "blocks.#.attn.qkv.*"},
               {{"blocks.#.o.*"}, "blocks.#.attn.proj.*"},
               {{"blocks.#.scale1"}, "blocks.#.ls1.gamma"},
               {{"blocks.#.scale1"}, "blocks.#.gamma_1", never},  // the files of DeiT-III's authors
               {{"blocks.#.norm2.*"}, "blocks.#.norm2.*"},
               {{"blocks.#.ffn.fc1.*"}, "blocks.#.mlp.fc1.*"},
               {{"blocks.#.ffn.fc2.*"}, "blocks.#.mlp.fc2.*"},
               {{"blocks.#.scale2"}, "blocks.#.ls2.gamma"},
               {{"blocks.#.scale2"}, "blocks.#.gamma_2", never},
               {{"norm.*"}, "norm.*", normalises_tokens},
               {{"norm.*"}, "fc_norm.*", normalises_means},
               {{"head.*"}, "head.*"},
               {{"distillation_head.*"}, "head_dist.*"}},
      .prefixes = {""},
      .ignored = {},
      .foreign = {{"reg_token", "register tokens (vit_*_reg*)"},
                  {"norm_pre.", "a norm before the blocks (vit_*_clip)"},
                  {".q_norm.", "normalised queries (vit_*_qknorm)"},
                  {".k_norm.", "normalised keys (vit_*_qknorm)"},
                  {".attn.norm.", "a norm inside attention (scale_attn_norm)"},
                  {".mlp.norm.", "a norm inside the FFN (scale_mlp_norm)"},
                  {"attn_pool.", "attention pooling (SigLIP)"},
                  {"rel_pos", "relative positions (vit_relpos, BEiT)"},
                  {".mlp.w12.", "a gated FFN (DINOv2 giant)"},
                  {".mlp.fc1_g.", "a gated FFN (EVA)"},
                  {".attns.", "parallel blocks (vit_*_x2)"},
                  {"pre_logits.", "a layer before the head (the oldest in21k files)"},
                  {"patch_embed.backbone.", "a convolutional stem (hybrid vit_*_r50)"},
                  {"mask_token", "masked patches (DINOv2)"}},
      .complete = complete,
      .read_config = read_config,
      .write_config = write_config,
      .obstacle = obstacle,
  };
  return scheme;
}

}  // namespace acm::nn
