#include "nn/backbone.h"

#include <gtest/gtest.h>

#include "unit/core/expect_error.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

TEST(MakeBackbone, RebuildsWhatTheDescriptionSays) {
  VitConfig config = small_vit("mean");
  config.eps = 1e-12;
  const auto vit = make_vit(config);
  const auto again = make_backbone(Json::parse(vit->description().dump(), "test"));
  EXPECT_EQ(again->description(), vit->description());
  const auto expected = vit->named_parameters(), found = again->named_parameters();
  ASSERT_EQ(found.keys(), expected.keys());
  for (const auto& parameter : expected) EXPECT_EQ(found[parameter.key()].sizes(), parameter.value().sizes());
}

TEST(MakeBackbone, NamesWhatItCannotBuild) {
  expect_error(Fault::kData, "'resnet'", [] { make_backbone(Json::object({{"family", "resnet"}})); });
  Json incomplete = make_vit(small_vit())->description();
  auto members = incomplete.as_object();
  members.erase("heads");
  expect_error(Fault::kData, "heads", [&] { make_backbone(Json(members)); });
}

TEST(SiteIndex, FindsASiteByNameAndElseNamesThem) {
  const auto vit = make_vit(small_vit());
  EXPECT_EQ(site_index(*vit, "blocks.1.k"), 6u);
  expect_error(Fault::kUsage, "blocks.0.q, blocks.0.k", [&] { site_index(*vit, "blocks.9.k"); });
}

}  // namespace
}  // namespace acm::nn
