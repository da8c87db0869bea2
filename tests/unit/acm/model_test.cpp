#include "acm/model.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "nn/vit/vit.h"

namespace acm {
namespace {

std::shared_ptr<nn::Backbone> tiny_vit(at::ScalarType dtype) {
  nn::VitConfig config;
  config.height = config.width_pixels = 8;
  config.patch = 4;
  config.width = 12;
  config.depth = 2;
  config.heads = 2;
  config.hidden = 24;
  auto model = nn::make_vit(config);
  model->to(dtype);
  model->initialise(StreamKey(1));
  return model;
}

class ModelFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / (std::string("acm_model_test_") + test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Saves, loads and saves again: the same parameters, structure and bytes.
  Model check_round_trip(nn::Backbone& model, const std::string& phase) {
    const auto first = folder_ / "first.safetensors", second = folder_ / "second.safetensors";
    save_model(first, model, phase, Json::object({{"mean", 0.5}}), "0123");
    Model loaded = load_model(first);
    const auto before = model.named_parameters(), after = loaded.backbone->named_parameters();
    EXPECT_EQ(before.keys(), after.keys());
    for (const auto& parameter : before) {
      EXPECT_TRUE(at::equal(parameter.value(), after[parameter.key()])) << parameter.key();
      EXPECT_EQ(parameter.value().scalar_type(), after[parameter.key()].scalar_type());
    }
    save_model(second, *loaded.backbone, phase, loaded.description.at("preprocessing"),
               loaded.description.at("parent").as_string());
    EXPECT_EQ(read_file(first), read_file(second));
    return loaded;
  }

  std::filesystem::path folder_;
};

TEST_F(ModelFiles, DenseModelComesBack) {
  const Model loaded = check_round_trip(*tiny_vit(at::kFloat), "pretrain");
  EXPECT_TRUE(loaded.description.at("sites").as_array().empty());
  EXPECT_TRUE(loaded.description.at("gate").is_null());
  EXPECT_EQ(loaded.description.at("phase").as_string(), "pretrain");
}

TEST_F(ModelFiles, LearnersWithoutGatesComeBack) {
  auto model = tiny_vit(at::kFloat);
  SurgeryConfig surgery;
  surgery.learners = 2;
  surgery.kinds = {"ffn", "blocks.1.v"};
  convert_sites(*model, surgery, StreamKey(2));
  Model loaded = check_round_trip(*model, "distill");
  EXPECT_EQ(acm_sites(*loaded.backbone).size(), 3u);
  EXPECT_TRUE(loaded.description.at("gate").is_null());
}

TEST_F(ModelFiles, GatesInFloat64ComeBack) {
  auto model = tiny_vit(at::kDouble);
  SurgeryConfig surgery;
  surgery.learners = 3;
  surgery.output_bias = true;
  convert_sites(*model, surgery, StreamKey(2));
  add_gates(*model, {5, 3, Activation::kIdentity, 0.7}, StreamKey(3));
  Model loaded = check_round_trip(*model, "gating");
  const auto sites = acm_sites(*loaded.backbone), expected = acm_sites(*model);
  ASSERT_EQ(sites.size(), model->sites().size());
  for (size_t i = 0; i < sites.size(); ++i) {
    EXPECT_EQ(sites[i].index, i);
    EXPECT_EQ(sites[i].site->name, expected[i].site->name);
    EXPECT_EQ(sites[i].layer->shape().min_k, nn::min_learners(sites[i].site->kind));
    EXPECT_EQ(sites[i].layer->shape().activation,
              sites[i].site->kind == nn::SiteKind::kFeedForward ? Activation::kGelu : Activation::kIdentity);
    EXPECT_EQ(sites[i].layer->gate()->config().temperature, 0.7);
  }
  EXPECT_EQ(loaded.description.at("dtype").as_string(), "float64");
}

TEST_F(ModelFiles, AnImpossibleSiteIsRefusedByName) {
  auto model = tiny_vit(at::kFloat);
  convert_sites(*model, {}, StreamKey(2));
  const auto path = folder_ / "model.safetensors";
  save_model(path, *model, "distill", Json::object(), "");
  Json description = nn::read_model_file(path).description;
  Json site = description.at("sites").as_array()[0];
  site["name"] = "blocks.9.ffn";
  description["sites"] = Json::Array{site};
  nn::write_model_file(path, description, *model);
  try {
    load_model(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kData);
    EXPECT_NE(std::string(error.what()).find("blocks.9.ffn"), std::string::npos);
  }
}

TEST(Surgery, SelectsByKindAndName) {
  const auto model = tiny_vit(at::kFloat);
  const auto indices = selected_sites(model->sites(), {"blocks.1.ffn", "q"});
  std::vector<std::string> names;
  for (const size_t i : indices) names.push_back(model->sites()[i].name);
  EXPECT_EQ(names, (std::vector<std::string>{"blocks.0.q", "blocks.1.q", "blocks.1.ffn"}));
  EXPECT_THROW(selected_sites(model->sites(), {"fnn"}), Error);
}

TEST(Surgery, LeavesOtherParametersAndIsAFunctionOfTheKey) {
  auto dense = tiny_vit(at::kFloat), first = tiny_vit(at::kFloat), second = tiny_vit(at::kFloat);
  SurgeryConfig surgery;
  surgery.kinds = {"ffn"};
  convert_sites(*first, surgery, StreamKey(5));
  convert_sites(*second, surgery, StreamKey(5));
  const auto kept = dense->named_parameters(), converted = first->named_parameters();
  for (const auto& parameter : converted) {
    EXPECT_TRUE(at::equal(parameter.value(), second->named_parameters()[parameter.key()]));
    if (const at::Tensor* same = kept.find(parameter.key())) {
      EXPECT_TRUE(at::equal(*same, parameter.value())) << parameter.key();
    }
  }
  EXPECT_FALSE(at::equal(acm_sites(*first)[0].layer->w1, acm_sites(*first)[1].layer->w1));
}

TEST(Surgery, RefusesMoreLearnersThanHiddenUnits) {
  const auto model = tiny_vit(at::kFloat);
  SurgeryConfig surgery;
  surgery.learners = 64;
  EXPECT_THROW(convert_sites(*model, surgery, StreamKey(1)), Error);
}

}  // namespace
}  // namespace acm
