// Vision Transformers as timm, Hugging Face and torchvision wrote them, imported and run.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "acm/model.h"
#include "golden/closeness.h"
#include "golden/kinds.h"
#include "nn/import/inventory.h"
#include "nn/task.h"
#include "nn/vit/patch_embedding.h"
#include "nn/vit/vit_block.h"

namespace golden {

namespace {

namespace nn = acm::nn;

constexpr double kHalfRelative = 1e-3;  // of the tensors stored in float16; the JSON says it in words

// The blocks one after another, by their modules: what stands between them no recorder keeps.
std::vector<at::Tensor> hidden_states(nn::Backbone& vit, const nn::VitConfig& config, const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  const auto modules = vit.named_modules();
  const auto parameters = vit.named_parameters();
  at::Tensor tokens = std::dynamic_pointer_cast<nn::PatchEmbedding>(modules["patch_embed"])->forward(images);
  if (config.prefix_tokens() > 0) {
    tokens = at::cat({parameters["cls_token"].expand({tokens.size(0), -1, -1}), tokens}, 1);
  }
  std::vector<at::Tensor> states = {tokens + parameters["pos_embed"]};
  for (int64_t i = 0; i < config.depth; ++i) {
    nn::TokenContext context;
    const auto block = std::dynamic_pointer_cast<nn::VitBlock>(modules["blocks." + std::to_string(i)]);
    states.push_back(block->forward(states.back(), context));
  }
  const auto norm = std::dynamic_pointer_cast<nn::LayerNorm>(modules["norm"]);
  const int64_t prefix = config.prefix_tokens();
  const at::Tensor last = states.back();
  states.push_back(config.pooling == "class" ? norm->forward(last)
                                             : norm->forward(last.narrow(1, prefix, config.patches()).mean(1)));
  return states;
}

// Gradients under the library's names, found through the table of names that import uses.
void expect_gradients(Case& golden, const nn::Backbone& vit) {
  const nn::WeightFiles files(golden.folder());
  const nn::Inventory inventory(files);
  const auto parameters = vit.named_parameters();
  for (const auto& parameter : parameters) {
    const auto* part = inventory.find(parameter.key());
    ASSERT_NE(part, nullptr) << parameter.key();
    const std::string name = "grad." + part->theirs;
    if (part->parts == 1 && golden.has(name)) golden.expect(name, parameter.value().grad());
  }
}

void expect_sites(Case& golden, const nn::Backbone& vit, const nn::Recorder& recorder) {
  const std::string block = std::to_string(golden.config().at("tapped_block").as_int());
  for (const std::string kind : {"q", "k", "v", "o", "ffn"}) {
    const auto& record = recorder.at(nn::site_index(vit, "blocks." + block + "." + kind));
    golden.expect("block" + block + "." + kind + ".input", record.input);
    golden.expect("block" + block + "." + kind + ".output", record.output);
  }
}

// A float16 tensor holds what float32 gave, within the rounding of float16.
void expect_half(Case& golden, const std::string& name, const at::Tensor& actual) {
  golden.note_compared(name);
  EXPECT_TRUE(is_close(actual, golden.tensor(name).to(at::kFloat), kHalfRelative)) << "in " << name;
}

}  // namespace

void test_vit(Case& golden) {
  const acm::Model model = acm::load_model(golden.folder());
  const auto config = nn::vit_config_from(model.description.at("backbone"));
  EXPECT_EQ(config.eps, golden.config().at("layer_norm_epsilon").as_double());
  acm::data::Batch batch;
  batch.inputs = golden.tensor("pixel_values");
  batch.labels = golden.tensor("labels");
  nn::Recorder recorder(model.backbone->sites().size(), nn::Recorder::Keep::kActivations);
  nn::TokenContext context;
  context.recorder = &recorder;
  const at::Tensor logits = model.backbone->forward(batch, context);
  const at::Tensor loss = nn::make_classification()->losses(logits, batch).mean();
  loss.backward();
  golden.expect("logits", logits);
  golden.expect("loss", loss);
  expect_sites(golden, *model.backbone, recorder);
  expect_gradients(golden, *model.backbone);
  const auto states = hidden_states(*model.backbone, config, batch.inputs);
  for (int64_t i = 0; i <= config.depth; ++i) {
    golden.expect("hidden_states." + std::to_string(i), states[static_cast<size_t>(i)]);
  }
  golden.expect("final_norm", states.back());
}

void test_vit_logits(Case& golden) {
  nn::ImportOptions options;
  if (const acm::Json* size = golden.config().find("image_size")) options.image_size = size->as_int();
  const acm::Model model = acm::load_model(golden.folder(), options);
  acm::data::Batch batch;
  batch.inputs = golden.tensor("pixel_values");
  nn::TokenContext context;
  golden.expect("logits", model.backbone->forward(batch, context));
}

void test_vit_real(Case& golden) {
  const auto weights = std::filesystem::path(ACM_SHARED_DATA) / golden.config().at("weights").as_string();
  if (!std::filesystem::exists(weights)) GTEST_SKIP() << "no weights at " << weights;
  const acm::Model model = acm::load_model(weights);
  acm::data::Batch batch;
  batch.inputs = golden.tensor("pixel_values");
  nn::Recorder recorder(model.backbone->sites().size(), nn::Recorder::Keep::kActivations);
  nn::TokenContext context;
  context.recorder = &recorder;
  const at::NoGradGuard no_grad;
  const at::Tensor logits = model.backbone->forward(batch, context);
  const double relative = golden.json().at("tolerance").at("logits").at("relative").as_double();
  golden.note_compared("logits");
  EXPECT_TRUE(is_close(logits, golden.tensor("logits"), relative)) << "in logits";
  for (const acm::Json& number : golden.config().at("blocks").as_array()) {
    const std::string block = std::to_string(number.as_int());
    const auto record = [&](const char* kind) {
      return recorder.at(nn::site_index(*model.backbone, "blocks." + block + "." + kind));
    };
    expect_half(golden, "block" + block + ".qkv.input", record("q").input);
    for (const char* kind : {"q", "k", "v"}) {
      expect_half(golden, "block" + block + "." + kind + ".output", record(kind).output);
    }
    for (const char* kind : {"o", "ffn"}) {
      expect_half(golden, "block" + block + "." + kind + ".input", record(kind).input);
      expect_half(golden, "block" + block + "." + kind + ".output", record(kind).output);
    }
  }
}

}  // namespace golden
