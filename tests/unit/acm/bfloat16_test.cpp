// Gated execution in bfloat16.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "acm/bfloat16_model.h"
#include "acm/model.h"
#include "nn/kernels/bfloat16_layers.h"
#include "nn/vit/vit.h"
#include "unit/acm/random_layer.h"
#include "unit/nn/kernels/bfloat16_bounds.h"
#include "unit/nn/small_vit.h"

namespace acm {
namespace {

using test::random_layer;
using test::random_tensor;

constexpr int64_t kLearners = 4, kTokens = 1500;

at::Tensor wide(const at::Tensor& tensor) { return tensor.detach().to(at::kDouble); }

// Of matrices that lie plain on any processor, of which both, the second and the first lie in pairs where it multiplies
// those. Two learners of 12 units fill no whole vectors, so that units of the third are computed.
struct Sizes {
  int64_t width, learner_width;
};
class GatedBfloat16 : public testing::TestWithParam<Sizes> {
 protected:
  const int64_t width_ = GetParam().width, learner_width_ = GetParam().learner_width;
  std::shared_ptr<AcmLayer> layer(Activation activation, bool output_bias) const {
    return random_layer({width_, kLearners, learner_width_, 0, activation, output_bias}, at::kFloat);
  }
  void round_matrices(AcmLayer& layer) const {
    layer.w1.set_data(nn::bfloat16_weight(layer.w1.data(), false, width_));
    layer.w2.set_data(nn::bfloat16_weight(layer.w2.data(), false, learner_width_));
  }
  const at::Tensor tokens_ = random_tensor({kTokens, width_}, at::kFloat, 2);
};
INSTANTIATE_TEST_SUITE_P(Sizes, GatedBfloat16, testing::Values(Sizes{6, 7}, Sizes{32, 12}, Sizes{32, 6}, Sizes{24, 12}),
                         [](const auto& sizes) {
                           return std::to_string(sizes.param.width) + "_" + std::to_string(sizes.param.learner_width);
                         });

// Half of the tokens run 2 learners, the others 0 to 4.
at::Tensor mixed_choice() {
  at::Tensor choice = at::full({kTokens}, 2, at::kLong);
  for (int64_t i = 0; i < kTokens / 2; ++i)
    choice[i] = static_cast<int64_t>(random_below(StreamKey(3), static_cast<uint64_t>(i), kLearners + 1));
  return choice;
}

TEST_P(GatedBfloat16, IsAsExactAsItsOperandsOnAnyThreads) {
  const at::NoGradGuard no_grad;
  const int threads = at::get_num_threads();
  for (const Activation activation : {Activation::kGelu, Activation::kIdentity}) {
    for (const bool output_bias : {false, true}) {
      const auto layer = this->layer(activation, output_bias);
      for (const at::Tensor& choice : {mixed_choice(), at::full({kTokens}, 3, at::kLong)}) {
        const at::Tensor learner = at::arange(kLearners * learner_width_, at::kLong).floor_divide(learner_width_);
        const at::Tensor runs = choice.unsqueeze(1).gt(learner).to(at::kDouble);
        auto [exact, bound] = nn::test::two_layers(wide(tokens_), wide(layer->w1), wide(layer->b1), wide(layer->w2),
                                                   activation == Activation::kGelu, runs);
        if (output_bias) {
          const at::Tensor owns = choice.unsqueeze(1).gt(at::arange(kLearners, at::kLong)).to(at::kDouble);
          exact = exact + owns.matmul(wide(layer->b2));
        }
        const auto narrow = random_layer(layer->shape(), at::kFloat);
        round_matrices(*narrow);
        at::set_num_threads(1);
        const at::Tensor found = narrow->chosen(tokens_, choice);
        EXPECT_EQ(((wide(found) - exact).abs() - bound).clamp_min(1e-6).max().item<double>(), 1e-6);
        EXPECT_GT((wide(found) - exact).abs().max().item<double>(), 1e-4);
        at::set_num_threads(3);
        EXPECT_TRUE(narrow->chosen(tokens_, choice).equal(found));
      }
    }
  }
  at::set_num_threads(threads);
}

TEST_P(GatedBfloat16, DoesNotTouchLearnersNobodyChose) {
  const at::NoGradGuard no_grad;
  const auto layer = this->layer(Activation::kGelu, true);
  round_matrices(*layer);
  const at::Tensor choice = mixed_choice().clamp_max(2), before = layer->chosen(tokens_, choice);
  layer->b1.narrow(0, 2 * learner_width_, learner_width_).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(layer->chosen(tokens_, choice).equal(before));
  const at::Tensor none = at::full({kTokens}, 0, at::kLong);
  EXPECT_TRUE(layer->chosen(tokens_, none).equal(at::zeros_like(tokens_)));
}

TEST(Bfloat16Model, KeepsEverythingButItsProductsInFloat32) {
  const at::NoGradGuard no_grad;
  const nn::VitConfig config = nn::small_vit();
  const auto vit = nn::make_vit(config);
  vit->initialise(StreamKey(1));
  const data::Batch batch = nn::image_batch(config, 40);
  const at::Tensor exact = nn::logits_of(*vit, batch);
  multiply_in_bfloat16(*vit);
  for (const auto& parameter : vit->named_parameters()) {
    const std::string& name = parameter.key();
    const bool multiplies = name.ends_with("weight") && name.find("norm") == std::string::npos && name != "head.weight";
    EXPECT_EQ(parameter.value().scalar_type(), multiplies ? at::kBFloat16 : at::kFloat) << name;
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor found = nn::logits_of(*vit, batch);
  at::set_num_threads(3);
  EXPECT_TRUE(nn::logits_of(*vit, batch).equal(found));
  at::set_num_threads(threads);
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  // A product is off by about 2^-8; errors of 6 in a row in each of the blocks add up as random ones do.
  const double bound = 0x1p-8 * std::sqrt(6.0 * static_cast<double>(config.depth));
  EXPECT_LT(nn::relative_difference(found, exact), bound);
  EXPECT_GT(nn::relative_difference(found, exact), bound / 100);
}

// Gates decide in float32, but about tokens that products in bfloat16 made.
TEST(Bfloat16Model, GatesSeldomChooseOtherwise) {
  const at::NoGradGuard no_grad;
  const nn::VitConfig config{.width = 48, .depth = 4, .heads = 4, .hidden = 192};
  const auto model = nn::make_vit(config);
  model->initialise(StreamKey(1));
  convert_sites(*model, {}, StreamKey(2));
  add_gates(*model, {}, StreamKey(3));
  data::Batch batch;
  batch.inputs = random_tensor({32, 1, 28, 28}, at::kFloat, 4);
  const auto choices = [&] {
    nn::Recorder recorder(model->sites().size(), nn::Recorder::Keep::kChoices);
    nn::TokenContext context;
    context.recorder = &recorder;
    model->forward(batch, context);
    std::vector<at::Tensor> all;
    for (size_t site = 0; site < recorder.size(); ++site) all.push_back(recorder.at(site).choice);
    return all;
  };
  const auto exact = choices();
  multiply_in_bfloat16(*model);
  for (const AcmSite& site : acm_sites(*model)) {
    EXPECT_EQ(site.layer->w1.scalar_type(), at::kBFloat16);
    for (const at::Tensor& parameter : site.layer->gate()->parameters()) EXPECT_EQ(parameter.scalar_type(), at::kFloat);
  }
  const auto found = choices();
  int64_t tokens = 0, others = 0;
  for (size_t site = 0; site < exact.size(); ++site) {
    tokens += exact[site].numel();
    others += exact[site].ne(found[site]).sum().item<int64_t>();
  }
  RecordProperty("tokens", static_cast<int>(tokens));
  RecordProperty("other_choices", static_cast<int>(others));
  EXPECT_LT(static_cast<double>(others), 0.02 * static_cast<double>(tokens));
  EXPECT_GT(others, 0);
}

}  // namespace
}  // namespace acm
