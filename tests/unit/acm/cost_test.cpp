#include "acm/cost.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "acm/model.h"
#include "nn/vit/vit.h"

namespace acm {
namespace {

TEST(LearnerWidth, CostsOneNthOfTheDenseModule) {
  const int64_t learners[] = {2, 4, 8, 16}, attention[] = {192, 96, 48, 24}, feed_forward[] = {1536, 768, 384, 192};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(learner_width(nn::SiteKind::kValue, 768, 0, learners[i]), attention[i]);
    EXPECT_EQ(learner_width(nn::SiteKind::kFeedForward, 768, 3072, learners[i]), feed_forward[i]);
  }
  EXPECT_EQ(learner_width(nn::SiteKind::kQuery, 192, 0, 4), 24);
  EXPECT_EQ(learner_width(nn::SiteKind::kFeedForward, 192, 768, 4), 192);
  EXPECT_EQ(learner_width(nn::SiteKind::kFeedForward, 8, 10, 4), 3);  // 2.5: halves away from zero
}

// method.md 7: ViT-B/16 at 224, 197 tokens, 12 blocks.
TEST(Cost, VitBaseOfTheMethod) {
  constexpr int64_t kTokens = 197, kBlocks = 12;
  const AcmShape attention{768, 4, 96, 1}, feed_forward{768, 4, 768, 0};
  const int64_t learners = 4 * (4 * learner_macs_per_token(attention) + learner_macs_per_token(feed_forward));
  EXPECT_EQ(kBlocks * kTokens * learners, 16732127232);
  const auto gates = [&](const GateConfig& gate) {
    return kBlocks * kTokens *
           (4 * gate_macs_per_token(768, attention.allowed(), gate) +
            gate_macs_per_token(768, feed_forward.allowed(), gate));
  };
  EXPECT_EQ(gates({16, 2, Activation::kGelu, 0.8}), 146038464);
  EXPECT_EQ(gates({16, 3, Activation::kIdentity, 0.8}), 149064384);
  EXPECT_EQ(gate_macs_per_token(768, 5, {16, 1, Activation::kGelu, 0.8}), 768 * 5);
}

TEST(CostModel, CountsConvertedKeptAndGates) {
  nn::VitConfig config;
  config.height = config.width_pixels = 8;
  config.patch = 4;
  config.width = 12;
  config.depth = 2;
  config.heads = 2;
  config.hidden = 48;
  const auto model = nn::make_vit(config);
  const int64_t dense = nn::dense_site_macs_per_token(*model);
  EXPECT_EQ(cost_model(*model).kept_site_macs, dense);

  SurgeryConfig surgery;
  surgery.learners = 3;
  surgery.kinds = {"ffn", "blocks.1.q"};
  convert_sites(*model, surgery, StreamKey(1));
  const CostModel plain = cost_model(*model);
  EXPECT_EQ(plain.sites.size(), 3u);
  EXPECT_EQ(plain.learners, 3);
  EXPECT_EQ(plain.gate_costs, (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(plain.kept_site_macs, dense - 2 * (2 * 12 * 48) - 12 * 12);

  add_gates(*model, {4, 2, Activation::kGelu, 0.8}, StreamKey(1));
  const CostModel gated = cost_model(*model);
  int64_t learners = 0, gates = 0;
  for (size_t i = 0; i < 3; ++i) {
    learners += gated.learner_costs[i] * 3;
    gates += gated.gate_costs[i];
  }
  int64_t everything = 0;
  for (const nn::Site& site : model->sites()) everything += model->at(site).macs_per_token();
  EXPECT_EQ(everything, gated.kept_site_macs + learners + gates);
  EXPECT_EQ(gates, 4 * (12 + 4) * 2 + 4 * (12 + 3));

  const at::Tensor chosen = at::tensor({5, 0, 2, 1, 1, 1}, at::kLong).view({2, 3});
  const at::Tensor tokens = at::tensor({5, 3}, at::kLong), rest = at::tensor({1000, 2000}, at::kLong);
  const auto& p = gated.learner_costs;
  const int64_t per_token = gated.kept_site_macs + gates;
  const at::Tensor expected =
      at::tensor({1000 + 5 * per_token + 5 * p[0] + 2 * p[2], 2000 + 3 * per_token + p[0] + p[1] + p[2]}, at::kLong);
  EXPECT_TRUE(at::equal(sample_macs(gated, chosen, tokens, rest), expected));
}

}  // namespace
}  // namespace acm
