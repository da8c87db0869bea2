// Names of torchvision's vit_*. It writes no config.json; ours holds its constructor's arguments.
#include "nn/import/scheme.h"

namespace acm::nn {
namespace {

constexpr double kEps = 1e-6;

bool never(const VitConfig&) { return false; }

LibraryConfig read_config(const Json& json) {
  LibraryConfig config;
  config.heads = optional_int(json, "num_heads");
  if (const Json* eps = json.find("layer_norm_eps")) config.eps = eps->as_double();
  if (const auto size = optional_int(json, "image_size")) config.image = {*size, *size};
  for (const auto& [theirs, ours] :
       {std::pair{"hidden_dim", "width"}, {"num_layers", "depth"}, {"mlp_dim", "hidden"}, {"patch_size", "patch"}}) {
    if (const auto size = optional_int(json, theirs)) config.sizes.emplace_back(ours, *size);
  }
  return config;
}

Json write_config(const VitConfig& config) {
  Json json = Json::object({{"image_size", config.height},
                            {"patch_size", config.patch},
                            {"num_layers", config.depth},
                            {"num_heads", config.heads},
                            {"hidden_dim", config.width},
                            {"mlp_dim", config.hidden},
                            {"num_classes", config.classes}});
  if (config.eps != kEps) json["layer_norm_eps"] = config.eps;
  return json;
}

std::string obstacle(const VitConfig& config) {
  if (config.pooling != "class") return "its head reads the class token, and this model averages patch tokens";
  if (config.distillation_token) return "it has no distillation token";
  if (config.layer_scale) return "it has no layer scale";
  if (!config.prefix_positions) return "it has a position embedding for the class token";
  if (!config.qkv_bias) return "its attention always has biases";
  if (config.height != config.width_pixels) return "its images are square";
  if (config.channels != 3) return "its images have three channels";
  return "";
}

}  // namespace

const Scheme& torchvision_scheme() {
  static const Scheme scheme = {
      .name = "torchvision",
      .marker = "conv_proj.weight",
      .eps = kEps,
      .rows = {{{"cls_token"}, "class_token"},
               {{"pos_embed"}, "encoder.pos_embedding"},
               {{"patch_embed.*"}, "conv_proj.*"},
               {{"blocks.#.norm1.*"}, "encoder.layers.encoder_layer_#.ln_1.*"},
               {{"blocks.#.q.weight", "blocks.#.k.weight", "blocks.#.v.weight"},
                "encoder.layers.encoder_layer_#.self_attention.in_proj_weight"},
               {{"blocks.#.q.bias", "blocks.#.k.bias", "blocks.#.v.bias"},
                "encoder.layers.encoder_layer_#.self_attention.in_proj_bias"},
               {{"blocks.#.o.*"}, "encoder.layers.encoder_layer_#.self_attention.out_proj.*"},
               {{"blocks.#.norm2.*"}, "encoder.layers.encoder_layer_#.ln_2.*"},
               {{"blocks.#.ffn.fc1.*"}, "encoder.layers.encoder_layer_#.mlp.0.*"},
               {{"blocks.#.ffn.fc2.*"}, "encoder.layers.encoder_layer_#.mlp.3.*"},
               {{"blocks.#.ffn.fc1.*"}, "encoder.layers.encoder_layer_#.mlp.linear_1.*", never},  // before 0.14
               {{"blocks.#.ffn.fc2.*"}, "encoder.layers.encoder_layer_#.mlp.linear_2.*", never},
               {{"norm.*"}, "encoder.ln.*"},
               {{"head.*"}, "heads.head.*"}},
      .prefixes = {""},
      .ignored = {},
      .foreign = {{"heads.pre_logits.", "a layer before the head (representation_size)"},
                  {"conv_proj.conv_bn_relu", "a convolutional stem"}},
      .read_config = read_config,
      .write_config = write_config,
      .obstacle = obstacle,
  };
  return scheme;
}

}  // namespace acm::nn
