#include "acm/acm_layer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/dense.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_layer;
using test::random_tensor;
using test::relative_difference;

constexpr int64_t kSamples = 3, kTokens = 5, kWidth = 6;

AcmShape shape_with(int64_t min_k, Activation activation, bool output_bias) {
  return {kWidth, 4, 3, min_k, activation, output_bias};
}

nn::TokenContext context_for(nn::Recorder& recorder, bool training) {
  nn::TokenContext context;
  context.positions = at::arange(kSamples, at::kLong);
  context.noise = StreamKey(9);
  context.training = training;
  context.recorder = &recorder;
  return context;
}

at::Tensor one_hot(const at::Tensor& choice, const AcmShape& shape) {
  at::Tensor mixture = at::zeros({choice.size(0), choice.size(1), shape.allowed()}, at::kDouble);
  return mixture.scatter_(-1, (choice - shape.min_k).unsqueeze(-1), 1.0);
}

class AcmLayerMeaning : public testing::TestWithParam<AcmShape> {};

TEST_P(AcmLayerMeaning, OneHotGateEqualsThePrefix) {
  const AcmShape shape = GetParam();
  const auto layer = random_layer(shape, at::kDouble);
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2);
  const at::Tensor prefixes = layer->prefixes(tokens);
  ASSERT_EQ(prefixes.sizes(), at::IntArrayRef({kSamples, kTokens, shape.learners + 1, kWidth}));
  EXPECT_EQ(prefixes.select(2, 0).abs().max().item<double>(), 0);
  for (int64_t k = shape.min_k; k <= shape.learners; ++k) {
    const at::Tensor choice = at::full({kSamples, kTokens}, k, at::kLong);
    const at::Tensor expected = prefixes.select(2, k);
    EXPECT_LT(relative_difference(layer->mixed(tokens, one_hot(choice, shape)), expected), 1e-14) << k;
    EXPECT_LT(relative_difference(layer->chosen(tokens, choice), expected), 1e-14) << k;
  }
}

TEST_P(AcmLayerMeaning, SoftMixtureWeighsThePrefixes) {
  const AcmShape shape = GetParam();
  const auto layer = random_layer(shape, at::kDouble);
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2);
  const at::Tensor mixture = random_tensor({kSamples, kTokens, shape.allowed()}, at::kDouble, 3);
  const at::Tensor allowed = layer->prefixes(tokens).narrow(2, shape.min_k, shape.allowed());
  EXPECT_LT(relative_difference(layer->mixed(tokens, mixture), (allowed * mixture.unsqueeze(-1)).sum(2)), 1e-13);
}

TEST_P(AcmLayerMeaning, EvaluationEqualsTrainingWithHardChoices) {
  const auto layer = random_layer(GetParam(), at::kDouble);
  layer->add_gate({});
  layer->gate()->initialise(StreamKey(4));
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 5);
  nn::Recorder trained(1, nn::Recorder::Keep::kChoices), evaluated(1, nn::Recorder::Keep::kChoices);

  nn::TokenContext training = context_for(trained, true);
  const at::Tensor output = layer->forward(tokens, training);
  EXPECT_LT(relative_difference(layer->chosen(tokens, trained.at(0).choice), output), 1e-13);
  EXPECT_TRUE(at::equal(trained.at(0).mixture, one_hot(trained.at(0).choice, GetParam())));

  nn::TokenContext evaluation = context_for(evaluated, false);
  const at::Tensor gated = layer->forward(tokens, evaluation);
  const at::Tensor choice = evaluated.at(0).choice;
  EXPECT_LT(relative_difference(gated, layer->mixed(tokens, one_hot(choice, GetParam()))), 1e-13);
  EXPECT_TRUE(at::equal(choice, evaluated.at(0).logits.argmax(-1) + GetParam().min_k));
}

TEST_P(AcmLayerMeaning, TaskGradientReachesTheGateOnlyWhereAskedFor) {
  const auto layer = random_layer(GetParam(), at::kDouble);
  layer->add_gate({});
  layer->gate()->initialise(StreamKey(4));
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 5);
  nn::Recorder recorder(1, nn::Recorder::Keep::kChoices);
  for (const bool wanted : {false, true}) {
    nn::TokenContext context = context_for(recorder, true);
    context.gate_task_gradient = wanted;
    layer->zero_grad();
    layer->forward(tokens, context).sum().backward();
    EXPECT_EQ(layer->gate()->parameters()[0].grad().defined(), wanted);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AcmLayerMeaning,
                         testing::Values(shape_with(0, Activation::kGelu, false),
                                         shape_with(1, Activation::kIdentity, false),
                                         shape_with(0, Activation::kGelu, true),
                                         shape_with(2, Activation::kGelu, true)));

TEST(AcmLayer, FixedChoiceRunsExactlyThatManyWithoutAGate) {
  const auto layer = random_layer(shape_with(1, Activation::kGelu, true), at::kFloat);
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kFloat, 2);
  nn::Recorder recorder(1, nn::Recorder::Keep::kChoices);
  nn::TokenContext context = context_for(recorder, false);
  for (int64_t k = 0; k <= 4; ++k) {
    context.choice = k;
    const at::Tensor expected = layer->prefixes(tokens).select(2, k);
    EXPECT_LE(relative_difference(layer->forward(tokens, context), expected), 1e-5);
    EXPECT_TRUE(recorder.at(0).choice.eq(k).all().item<bool>());
  }
  context.choice = 5;
  EXPECT_THROW(layer->forward(tokens, context), Error);
}

// Layers of one shape, of several, and dense modules among them: each at its own site.
TEST(AcmLayer, GivesBesideOthersWhatItGivesAlone) {
  const auto gated = [](const AcmShape& shape, uint64_t seed) {
    const auto layer = random_layer(shape, at::kDouble, seed);
    layer->add_gate({});
    layer->gate()->initialise(StreamKey(seed));
    return layer;
  };
  const AcmShape shape = shape_with(1, Activation::kGelu, true);
  const auto dense = std::make_shared<nn::DenseProjection>(kWidth);
  dense->to(at::kDouble);
  dense->weight.detach().fill_(0.1);
  dense->bias.detach().fill_(0.2);
  using Modules = std::vector<std::shared_ptr<nn::TokenModule>>;
  for (const Modules& modules : {Modules{gated(shape, 1), gated(shape, 2), gated(shape, 3)},
                                 Modules{gated(shape, 1), gated(shape_with(0, Activation::kGelu, false), 2)},
                                 Modules{gated(shape, 1), dense, gated(shape, 3)}, Modules{dense, gated(shape, 2)}}) {
    std::vector<nn::TokenModule*> pointers;
    for (const auto& module : modules) pointers.push_back(module.get());
    const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2);
    for (const bool training : {true, false}) {
      nn::Recorder together(1 + modules.size(), nn::Recorder::Keep::kChoices), alone = together;
      nn::TokenContext context = context_for(together, training);
      context.site = 1;
      const auto outputs = pointers.front()->forward_together(pointers, tokens, context);
      ASSERT_EQ(outputs.size(), modules.size());
      for (size_t i = 0; i < modules.size(); ++i) {
        context.recorder = &alone;
        context.site = 1 + i;
        EXPECT_TRUE(at::equal(outputs[i], modules[i]->forward(tokens, context)));
        const at::Tensor &found = together.at(1 + i).choice, &expected = alone.at(1 + i).choice;
        EXPECT_EQ(found.defined(), modules[i] != dense);
        EXPECT_TRUE(modules[i] == dense || at::equal(found, expected));
      }
    }
  }
}

TEST(AcmLayer, WithoutGateOrFixedChoiceNamesThePhaseThatMakesGates) {
  const auto layer = random_layer(shape_with(0, Activation::kGelu, false), at::kFloat);
  nn::TokenContext context;
  try {
    layer->forward(random_tensor({1, 2, kWidth}, at::kFloat, 1), context);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kUsage);
    EXPECT_NE(std::string(error.what()).find("--phase 2"), std::string::npos);
  }
}

TEST(AcmLayer, InitialisesWithinTheBoundsOfTheDenseModule) {
  AcmLayer layer({64, 4, 16, 0, Activation::kGelu, true});
  layer.initialise(StreamKey(1));
  EXPECT_NEAR(layer.w1.abs().max().item<double>(), 0.125, 1e-3);
  EXPECT_NEAR(layer.b1.abs().max().item<double>(), 0.125, 2e-2);
  EXPECT_NEAR(layer.w2.abs().max().item<double>(), 0.125, 1e-3);
  EXPECT_EQ(layer.b2.abs().max().item<double>(), 0);
  EXPECT_FALSE(at::equal(layer.w1, layer.w2));
}

TEST(AcmLayer, InitialisesAsTheAuthorsCode) {
  AcmLayer layer({400, 4, 25, 0, Activation::kGelu, true});
  layer.initialise(StreamKey(1), RandomStart::kReference);
  EXPECT_NEAR(layer.w1.abs().max().item<double>(), 0.1, 1e-3);   // 1 / sqrt(N b)
  EXPECT_NEAR(layer.b1.abs().max().item<double>(), 0.2, 1e-2);   // 1 / sqrt(b)
  EXPECT_NEAR(layer.w2.abs().max().item<double>(), 0.05, 1e-3);  // 1 / sqrt(D)
  EXPECT_EQ(layer.b2.abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace acm
