#include "train/learning_rate.h"

#include <gtest/gtest.h>

namespace acm::train {
namespace {

TEST(LearningRate, CosineStartsAtThePeak) {
  const LearningRate rate{.peak = 1e-3, .warmup_steps = 0, .steps = 10};
  EXPECT_DOUBLE_EQ(rate.at(0), 1e-3);
  EXPECT_NEAR(rate.at(5), 0.0005005, 1e-15);
  EXPECT_NEAR(rate.at(9), 2.5447270110570814e-05, 1e-17);
}

TEST(LearningRate, WarmsUpLinearlyAndThenFallsOverTheRest) {
  const LearningRate rate{.peak = 3e-4, .warmup_steps = 3, .steps = 7};
  EXPECT_NEAR(rate.at(0), 1e-4, 1e-18);
  EXPECT_NEAR(rate.at(1), 2e-4, 1e-18);
  EXPECT_DOUBLE_EQ(rate.at(2), 3e-4);
  EXPECT_DOUBLE_EQ(rate.at(3), 3e-4);
  EXPECT_NEAR(rate.at(5), 0.0001505, 1e-16);
}

TEST(LearningRate, OneStepHasTheFullRate) {
  EXPECT_DOUBLE_EQ((LearningRate{.peak = 1e-3, .warmup_steps = 0, .steps = 1}.at(0)), 1e-3);
}

}  // namespace
}  // namespace acm::train
