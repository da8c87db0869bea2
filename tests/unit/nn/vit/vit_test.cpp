#include "nn/vit/vit.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "nn/task.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

// Scales its tokens, and notes the index of the site at which it ran.
class Probe final : public TokenModule {
 public:
  explicit Probe(std::vector<size_t>& sites) : sites_(sites) {
    scale = register_parameter("scale", at::full({1}, 0.5));
  }
  at::Tensor forward(const at::Tensor& tokens, TokenContext& context) override {
    sites_.push_back(context.site);
    return tokens.mul(scale);
  }
  int64_t macs_per_token() const override { return 0; }

  at::Tensor scale;

 private:
  std::vector<size_t>& sites_;
};

class VitPooling : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, VitPooling, testing::Values("class", "mean", "patch_mean"));

TEST_P(VitPooling, GivesLogitsAndAGradientToEveryParameter) {
  const VitConfig config = small_vit(GetParam());
  const auto vit = scattered_vit(config);
  const data::Batch batch = image_batch(config, 3);
  const at::Tensor logits = logits_of(*vit, batch);
  EXPECT_EQ(logits.sizes(), (at::IntArrayRef{3, 7}));
  make_classification()->losses(logits, batch).mean().backward();
  for (const auto& parameter : vit->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    // Softmax does not see what is added to all keys alike, so their bias alone may have no gradient.
    if (parameter.key().ends_with(".k.bias")) continue;
    EXPECT_GT(parameter.value().grad().abs().max().item<double>(), 1e-7) << parameter.key();
  }
}

TEST_P(VitPooling, RunsInFloat64OnFloat32Images) {
  const VitConfig config = small_vit(GetParam());
  const auto vit = scattered_vit(config);
  const data::Batch batch = image_batch(config, 3);
  const at::Tensor narrow = logits_of(*vit, batch);
  vit->to(at::kDouble);
  const at::Tensor wide = logits_of(*vit, batch);
  EXPECT_EQ(wide.scalar_type(), at::kDouble);
  EXPECT_LT(relative_difference(narrow, wide), 1e-5);
}

TEST_P(VitPooling, CountsItsTokens) {
  const bool has_class_token = std::string(GetParam()) != "mean";
  const VitConfig config = small_vit(GetParam());
  const auto vit = make_vit(config);
  const at::Tensor counts = vit->token_counts(image_batch(config, 3));
  EXPECT_TRUE(counts.equal(at::full({3}, has_class_token ? 7 : 6, at::kLong)));
}

TEST(Vit, NamesItsSitesInTheOrderOfExecution) {
  const auto vit = scattered_vit(small_vit());
  std::vector<std::string> names, inputs;
  std::vector<size_t> order;
  for (const Site& site : vit->sites()) {
    names.push_back(site.name);
    inputs.push_back(site.input_of);
    EXPECT_EQ(site.width, 16);
    EXPECT_EQ(site.hidden, site.kind == SiteKind::kFeedForward ? 24 : 0);
    EXPECT_EQ(vit->at(site).macs_per_token(), site.kind == SiteKind::kFeedForward ? 2 * 16 * 24 : 16 * 16);
    vit->replace(site, std::make_shared<Probe>(order));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"blocks.0.q", "blocks.0.k", "blocks.0.v", "blocks.0.o", "blocks.0.ffn",
                                             "blocks.1.q", "blocks.1.k", "blocks.1.v", "blocks.1.o", "blocks.1.ffn"}));
  EXPECT_EQ(inputs, (std::vector<std::string>{"blocks.0.q", "blocks.0.q", "blocks.0.q", "blocks.0.o", "blocks.0.ffn",
                                              "blocks.1.q", "blocks.1.q", "blocks.1.q", "blocks.1.o", "blocks.1.ffn"}));
  logits_of(*vit, image_batch(small_vit(), 1));
  EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Vit, ReplacesASiteAndKeepsEveryOtherName) {
  const auto vit = scattered_vit(small_vit());
  auto expected = vit->named_parameters().keys();
  std::erase_if(expected, [](const std::string& name) { return name.starts_with("blocks.1.ffn."); });
  std::vector<size_t> order;
  const auto probe = std::make_shared<Probe>(order);
  const Site& site = vit->sites().back();
  vit->replace(site, probe);
  EXPECT_EQ(&vit->at(site), probe.get());

  auto found = vit->named_parameters().keys();
  EXPECT_EQ(std::erase(found, "blocks.1.ffn.scale"), 1u);
  EXPECT_EQ(found, expected);
  vit->to(at::kDouble);
  EXPECT_EQ(probe->scale.scalar_type(), at::kDouble);
  EXPECT_EQ(logits_of(*vit, image_batch(small_vit(), 1)).scalar_type(), at::kDouble);
}

TEST(Vit, RecordsWhatEachSiteReadAndWrote) {
  const auto vit = scattered_vit(small_vit());
  const data::Batch batch = image_batch(small_vit(), 2);
  Recorder recorder(vit->sites().size(), Recorder::Keep::kActivations);
  TokenContext context;
  context.recorder = &recorder;
  vit->forward(batch, context);
  for (size_t i = 0; i < recorder.size(); ++i) {
    const Site& site = vit->sites()[i];
    const SiteRecord& record = recorder.at(i);
    ASSERT_EQ(record.input.sizes(), (at::IntArrayRef{2, 7, 16})) << site.name;
    EXPECT_TRUE(vit->at(site).forward(record.input, context).equal(record.output)) << site.name;
    EXPECT_EQ(record.input.const_data_ptr(), recorder.at(site_index(*vit, site.input_of)).input.const_data_ptr());
  }
}

TEST(Vit, RecordsNoActivationsUnlessAsked) {
  const auto vit = scattered_vit(small_vit());
  Recorder recorder(vit->sites().size(), Recorder::Keep::kChoices);
  TokenContext context;
  context.recorder = &recorder;
  vit->forward(image_batch(small_vit(), 1), context);
  EXPECT_FALSE(recorder.at(0).input.defined());
  EXPECT_FALSE(recorder.at(0).output.defined());
}

TEST(Vit, GivesTheSameBitsForAnyNumberOfThreads) {
  VitConfig config = small_vit();
  config.width = 64;
  config.hidden = 256;
  config.height = config.width_pixels = 28;
  const auto vit = scattered_vit(config);
  const data::Batch batch = image_batch(config, 16);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = logits_of(*vit, batch);
  at::set_num_threads(2);
  const at::Tensor two = logits_of(*vit, batch);
  at::set_num_threads(threads);
  EXPECT_TRUE(one.equal(two));
}

TEST(Vit, GivesTheSameLogitsForAnySplitOfTheBatch) {
  const auto vit = scattered_vit(small_vit());
  const data::Batch batch = image_batch(small_vit(), 5);
  data::Batch head = batch, tail = batch;
  head.inputs = batch.inputs.narrow(0, 0, 2);
  tail.inputs = batch.inputs.narrow(0, 2, 3);
  const at::Tensor parts = at::cat({logits_of(*vit, head), logits_of(*vit, tail)});
  EXPECT_LT(relative_difference(parts, logits_of(*vit, batch)), 1e-5);
}

TEST(Vit, CostsWhatTheTablesSay) {  // golden/cost/tables.json, ViT-B/16 at 224
  const VitConfig config = {.channels = 3,
                            .height = 224,
                            .width_pixels = 224,
                            .patch = 16,
                            .width = 768,
                            .depth = 12,
                            .heads = 12,
                            .hidden = 3072,
                            .classes = 1000};
  const auto vit = make_vit(config);
  const at::Tensor macs = vit->static_macs(at::tensor({197, 0}, at::kLong));
  EXPECT_EQ(macs[0].item<int64_t>(), 115605504 + 715327488 + 768000);
  EXPECT_EQ(macs[1].item<int64_t>(), 115605504 + 768000);
  EXPECT_EQ(dense_site_macs_per_token(*vit) * 197, 16732127232);
}

TEST(Vit, ASecondTokenAndASecondHeadCostTheirShare) {  // attention 2 T^2 D a block, a head D C
  VitConfig config = small_vit();
  config.distillation_token = config.distillation_head = true;
  const auto vit = make_vit(config);
  const at::Tensor counts = vit->token_counts(image_batch(config, 1));
  EXPECT_EQ(counts.item<int64_t>(), 6 + 2);
  const int64_t patches = 6 * 16 * 2 * 4 * 4, attention = 2 * (2 * 8 * 8 * 16), heads = 2 * 16 * 7;
  EXPECT_EQ(vit->static_macs(counts).item<int64_t>(), patches + attention + heads);
}

TEST(Vit, StartsEachParameterFromItsOwnStream) {
  const auto vit = make_vit(small_vit()), again = make_vit(small_vit()), other = make_vit(small_vit());
  vit->initialise(StreamKey(1));
  again->initialise(StreamKey(1));
  other->initialise(StreamKey(2));
  for (const auto& parameter : vit->named_parameters()) {
    const std::string& name = parameter.key();
    const at::Tensor value = parameter.value();
    EXPECT_TRUE(value.equal(again->named_parameters()[name])) << name;
    if (name.ends_with("bias")) {
      EXPECT_EQ(value.abs().max().item<double>(), 0.0) << name;
    } else if (name.find("norm") != std::string::npos) {
      EXPECT_TRUE(value.equal(at::ones_like(value))) << name;
    } else {
      EXPECT_LE(value.abs().max().item<double>(), 0.04) << name;
      EXPECT_GT(value.abs().max().item<double>(), 0.01) << name;
      EXPECT_FALSE(value.equal(other->named_parameters()[name])) << name;
    }
  }
  const auto parameters = vit->named_parameters();
  EXPECT_FALSE(parameters["blocks.0.q.weight"].equal(parameters["blocks.1.q.weight"]));
}

}  // namespace
}  // namespace acm::nn
