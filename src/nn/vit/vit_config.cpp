#include <utility>

#include "core/error.h"
#include "nn/vit/vit.h"

namespace acm::nn {

VitConfig vit_config_from(const Json& description) {
  VitConfig config;
  config.channels = description.at("channels").as_int();
  config.height = description.at("height").as_int();
  config.width_pixels = description.at("width_pixels").as_int();
  config.patch = description.at("patch").as_int();
  config.width = description.at("width").as_int();
  config.depth = description.at("depth").as_int();
  config.heads = description.at("heads").as_int();
  config.hidden = description.at("hidden").as_int();
  config.classes = description.at("classes").as_int();
  config.pooling = description.at("pooling").as_string();
  config.eps = description.at("eps").as_double();
  const auto read = [&](const char* name, bool& member) {
    if (const Json* found = description.find(name)) member = found->as_bool();
  };
  read("qkv_bias", config.qkv_bias);
  read("layer_scale", config.layer_scale);
  read("prefix_positions", config.prefix_positions);
  read("distillation_token", config.distillation_token);
  read("distillation_head", config.distillation_head);
  return config;
}

Json description_of(const VitConfig& config) {
  return Json::object({{"family", "vit"},
                       {"channels", config.channels},
                       {"height", config.height},
                       {"width_pixels", config.width_pixels},
                       {"patch", config.patch},
                       {"width", config.width},
                       {"depth", config.depth},
                       {"heads", config.heads},
                       {"hidden", config.hidden},
                       {"classes", config.classes},
                       {"pooling", config.pooling},
                       {"eps", config.eps},
                       {"qkv_bias", config.qkv_bias},
                       {"layer_scale", config.layer_scale},
                       {"prefix_positions", config.prefix_positions},
                       {"distillation_token", config.distillation_token},
                       {"distillation_head", config.distillation_head}});
}

void check(const VitConfig& config) {
  const auto refuse = [](const std::string& reason) {
    throw Error(Fault::kUsage, "cannot build a Vision Transformer: " + reason);
  };
  const Json description = description_of(config);
  for (const auto* name :
       {"channels", "height", "width_pixels", "patch", "width", "depth", "heads", "hidden", "classes"}) {
    const int64_t size = description.at(name).as_int();
    if (size < 1) refuse(std::string(name) + " must be at least 1, got " + std::to_string(size));
  }
  if (config.height % config.patch != 0 || config.width_pixels % config.patch != 0) {
    refuse("patch must divide the image's sides, got patch " + std::to_string(config.patch) + " for " +
           std::to_string(config.height) + " x " + std::to_string(config.width_pixels) + " pixels");
  }
  if (config.width % config.heads != 0) {
    refuse("heads must divide width, got " + std::to_string(config.heads) + " heads for width " +
           std::to_string(config.width));
  }
  if (config.pooling != "class" && config.pooling != "mean" && config.pooling != "patch_mean") {
    refuse("pooling must be class, mean or patch_mean, got '" + config.pooling + "'");
  }
  if (config.distillation_token && config.pooling != "class") {
    refuse("a distillation token stands beside a class token that is pooled, got pooling " + config.pooling);
  }
  if (config.distillation_head && !config.distillation_token) {
    refuse("a distillation head needs a distillation token");
  }
  if (!(config.eps > 0)) refuse("eps must be positive, got " + Json(config.eps).dump());
}

}  // namespace acm::nn
