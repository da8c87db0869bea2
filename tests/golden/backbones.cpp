// Vision Transformers as timm, Hugging Face and torchvision wrote them, imported and run.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "acm/bfloat16_model.h"
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
    const auto residual = block->forward({states.back().clone(), {}}, context);
    states.push_back(residual.tokens + residual.update);
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

// The same model with products in bfloat16. Of two rounded operands a product is off by about 2^-8 (at most by twice
// that), and the errors of 6 products in a row in each block add up as random ones do.
void expect_in_bfloat16(nn::Backbone& vit, const acm::data::Batch& batch, const at::Tensor& logits) {
  const at::NoGradGuard no_grad;
  acm::multiply_in_bfloat16(vit);
  nn::TokenContext context;
  const at::Tensor found = vit.forward(batch, context);
  const auto depth = static_cast<double>(vit.description().at("depth").as_int());
  EXPECT_TRUE(is_close(found, logits, 0x1p-8 * std::sqrt(6 * depth))) << "in bfloat16";
  EXPECT_FALSE(is_close(found, logits, 0x1p-16)) << "in bfloat16: nothing was rounded";
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
  expect_in_bfloat16(*model.backbone, batch, logits.detach());
}

void test_vit_logits(Case& golden) {
  nn::ImportOptions options;
  if (const acm::Json* size = golden.config().find("image_size")) options.image_size = size->as_int();
  const acm::Model model = acm::load_model(golden.folder(), options);
  acm::data::Batch batch;
  batch.inputs = golden.tensor("pixel_values");
  nn::TokenContext context;
  const at::Tensor logits = model.backbone->forward(batch, context).detach();
  golden.expect("logits", logits);
  expect_in_bfloat16(*model.backbone, batch, logits);
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
  expect_in_bfloat16(*model.backbone, batch, logits);
}

}  // namespace golden
