#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

TEST(VitConfig, RefusesSizesThatDoNotFit) {
  const auto refused = [](const std::string& reason, void (*change)(VitConfig&)) {
    VitConfig config = small_vit();
    change(config);
    expect_error(Fault::kUsage, reason, [&] { make_vit(config); });
  };
  refused("depth must be at least 1, got 0", [](VitConfig& config) { config.depth = 0; });
  refused("patch must divide the image's sides, got patch 5", [](VitConfig& config) { config.patch = 5; });
  refused("patch 8 for 8 x 12", [](VitConfig& config) { config.patch = 8; });
  refused("3 heads for width 16", [](VitConfig& config) { config.heads = 3; });
  refused("got 'max'", [](VitConfig& config) { config.pooling = "max"; });
  refused("a distillation token stands beside a class token", [](VitConfig& config) {
    config.pooling = "patch_mean";
    config.distillation_token = true;
  });
  refused("a distillation head needs a distillation token", [](VitConfig& config) { config.distillation_head = true; });
  refused("eps must be positive", [](VitConfig& config) { config.eps = 0; });
}

TEST(VitConfig, MembersThatOldDescriptionsLackKeepTheirOldMeaning) {
  const Json now = description_of(small_vit());
  Json old = now;
  for (const char* name : {"qkv_bias", "layer_scale", "prefix_positions", "distillation_token", "distillation_head"}) {
    EXPECT_EQ(old.as_object().erase(name), 1u) << name;
  }
  EXPECT_EQ(description_of(vit_config_from(old)), now);
}

}  // namespace
}  // namespace acm::nn
