// The real ViT-Ti/16 on real photographs: from files to logits, through everything that a user's images go through.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "acm/model.h"
#include "core/file.h"
#include "core/json.h"
#include "data/open.h"

namespace acm::phases {
namespace {

namespace fs = std::filesystem;

const fs::path kWeights = fs::path(ACM_SHARED_DATA) / "vit_tiny_patch16_224_in1k";
const fs::path kPhotographs = fs::path(ACM_SHARED_DATA) / "nips17_imagenet_compatible_1000";

data::DataConfig photographs() {
  data::DataConfig config;
  config.kind = "labelled";
  config.path = kPhotographs.string();
  config.test = {"images", "dev_dataset.csv"};
  config.image_column = "ImageId";
  config.label_column = "TrueLabel";
  config.first_label = 1;
  config.classes = 1000;
  config.preset = "augreg";
  config.resize = 0;
  return config;
}

// Samples are numbered by sorted name.
std::vector<std::string> sorted_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kPhotographs / "images"))
    names.push_back(entry.path().stem().string());
  std::ranges::sort(names);
  return names;
}

// golden.json: logits computed with numpy from the same files.
TEST(Photographs, TheRealVitTinyGivesTheLogitsOfNumpy) {
  if (!fs::exists(kWeights) || !fs::exists(kPhotographs))
    GTEST_SKIP() << "the weights and photographs are not at " << ACM_SHARED_DATA;
  const at::NoGradGuard no_grad;
  const auto model = load_model(kWeights / "model.safetensors");
  const auto source = data::open_source(photographs(), data::Split::kTest);
  const auto names = sorted_names();
  ASSERT_EQ(source->size(), static_cast<int64_t>(names.size()));

  const auto golden = Json::parse(read_file(kWeights / "golden.json"), "golden.json");
  for (const Json& item : golden.at("items").as_array()) {
    const auto& id = item.at("id").as_string();
    SCOPED_TRACE(id);
    const auto sample = source->get(std::ranges::find(names, id) - names.begin(), StreamKey());
    EXPECT_EQ(sample.label, item.at("label0").as_int());
    EXPECT_NEAR(sample.input.mean().item<double>(), item.at("input_mean").as_double(), 1e-5);
    nn::TokenContext context;
    const auto logits = model.backbone->forward(source->collate({&sample, 1}), context)[0];
    const int64_t top = item.at("top1").as_int();
    EXPECT_EQ(logits.argmax().item<int64_t>(), top);
    EXPECT_NEAR(logits[top].item<double>(), item.at("top1_logit").as_double(), 2e-4);
    const auto& first = item.at("logits_0_4").as_array();
    for (size_t i = 0; i < first.size(); ++i)
      EXPECT_NEAR(logits[static_cast<int64_t>(i)].item<double>(), first[i].as_double(), 2e-4) << "logit " << i;
  }
}

}  // namespace
}  // namespace acm::phases
