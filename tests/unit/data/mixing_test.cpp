#include "data/mixing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <cmath>

namespace acm::data {
namespace {

constexpr int64_t kClasses = 5;
const ImageSize kSize{.height = 12, .width = 10};
const StreamKey kKey(7);

AugmentConfig config_of(double mixup, double cutmix) {
  AugmentConfig config;
  config.mixup = mixup;
  config.cutmix = cutmix;
  return config;
}

// Sample `p` is p everywhere.
Batch batch_of(int64_t first, int64_t samples) {
  Batch batch;
  batch.positions = at::arange(first, first + samples, at::kLong);
  batch.labels = batch.positions.remainder(kClasses);
  batch.inputs = at::empty({samples, 3, kSize.height, kSize.width});
  batch.inputs.copy_(batch.positions.view({samples, 1, 1, 1}));
  return batch;
}

TEST(Mixing, MixesPairsOfPositions) {
  const Mixing mixing(config_of(0.8, 0), kClasses, kKey);
  Batch batch = batch_of(20, 6);
  mixing.apply(batch, 3);
  const auto lambda = static_cast<float>(mixing.draw(3, kSize).lambda);
  for (int64_t i = 0; i < 6; ++i) {
    const float own = 20 + i, other = 20 + (i ^ 1);
    EXPECT_TRUE(batch.inputs[i].allclose(at::full({}, lambda * own + (1 - lambda) * other), 1e-6));
    EXPECT_FLOAT_EQ(batch.targets[i][(20 + i) % kClasses].item<float>(), lambda);
    EXPECT_FLOAT_EQ(batch.targets[i][(20 + (i ^ 1)) % kClasses].item<float>(), 1 - lambda);
    EXPECT_EQ(batch.labels[i].item<int64_t>(), (20 + i) % kClasses) << "labels stay for scoring";
  }
}

TEST(Mixing, IsTheSameForAnyCutOfTheBatch) {
  for (const double cutmix : {0.0, 1.0}) {
    const Mixing mixing(config_of(cutmix > 0 ? 0.0 : 0.8, cutmix), kClasses, kKey);
    Batch whole = batch_of(40, 10);
    mixing.apply(whole, 4);
    Batch first = batch_of(40, 6), second = batch_of(46, 4);
    mixing.apply(first, 4);
    mixing.apply(second, 4);
    EXPECT_TRUE(at::equal(whole.inputs.narrow(0, 0, 6), first.inputs));
    EXPECT_TRUE(at::equal(whole.inputs.narrow(0, 6, 4), second.inputs));
    EXPECT_TRUE(at::equal(whole.targets.narrow(0, 6, 4), second.targets));
    Batch other_step = batch_of(40, 10);
    mixing.apply(other_step, 5);
    EXPECT_FALSE(at::equal(whole.inputs, other_step.inputs));
  }
}

TEST(Mixing, CutmixExchangesOneBoxAndTellsItsShare) {
  const Mixing mixing(config_of(0, 1), kClasses, kKey);
  for (int64_t step = 0; step < 20; ++step) {
    Batch batch = batch_of(0, 2);
    mixing.apply(batch, step);
    const double other = batch.inputs[0][0].sum().item<double>() / static_cast<double>(kSize.height * kSize.width);
    EXPECT_NEAR(mixing.draw(step, kSize).lambda, 1 - other, 1e-6);
    EXPECT_NEAR(batch.targets[1][0].item<float>(), other, 1e-6);
    EXPECT_TRUE(batch.inputs[0].add(batch.inputs[1]).eq(1).all().item<bool>()) << "what one lost the other has";
  }
}

TEST(Mixing, ALastSampleWithoutAPartnerStays) {
  Batch batch = batch_of(0, 3);
  Mixing(config_of(0.8, 0), kClasses, kKey).apply(batch, 0);
  EXPECT_TRUE(batch.inputs[2].eq(2).all().item<bool>());
  EXPECT_EQ(batch.targets[2][2].item<float>(), 1);
}

TEST(Mixing, RefusesToPartPairs) {
  Batch batch = batch_of(5, 4);
  EXPECT_THROW(Mixing(config_of(0.8, 0), kClasses, kKey).apply(batch, 0), c10::Error);
  AugmentConfig smoothing;
  smoothing.label_smoothing = 0.1;
  Mixing(smoothing, kClasses, kKey).apply(batch, 0);  // nothing is mixed
  EXPECT_FLOAT_EQ(batch.targets[0][0].item<float>(), 0.92F);
  EXPECT_FLOAT_EQ(batch.targets[0][1].item<float>(), 0.02F);
}

TEST(Mixing, DrawsAsOftenAsTheSettingsSay) {
  AugmentConfig config = config_of(0.8, 1);
  config.mix_probability = 0.6;
  config.mix_switch = 0.25;
  const Mixing mixing(config, kClasses, kKey);
  constexpr int kSteps = 20'000;
  int mixed = 0, cut = 0;
  double lambdas = 0, centres = 0;
  for (int step = 0; step < kSteps; ++step) {
    const Mix mix = mixing.draw(step, {.height = 224, .width = 224});
    mixed += mix.kind != Mix::Kind::kNone;
    cut += mix.kind == Mix::Kind::kCutmix;
    if (mix.kind == Mix::Kind::kMixup) lambdas += mix.lambda;
    if (mix.kind == Mix::Kind::kCutmix) centres += static_cast<double>(mix.box.left) + mix.box.width / 2.0;
  }
  const auto near = [&](int found, double share) {
    EXPECT_NEAR(found, kSteps * share, 5 * std::sqrt(kSteps * share * (1 - share)));
  };
  near(mixed, 0.6);
  near(cut, 0.6 * 0.25);
  EXPECT_NEAR(lambdas / (mixed - cut), 0.5, 5 * 0.31 / std::sqrt(mixed - cut));
  EXPECT_NEAR(centres / cut, 112, 5 * 65 / std::sqrt(cut));
}

}  // namespace
}  // namespace acm::data
