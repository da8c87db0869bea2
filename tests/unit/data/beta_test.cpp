#include "data/beta.h"

#include <gtest/gtest.h>

#include <cmath>

namespace acm::data {
namespace {

constexpr int kDraws = 40'000;

struct Moments {
  double mean = 0, variance = 0, fourth = 0;  // the last two about the mean that theory gives
};

template <class Draw>
Moments moments_of(Draw draw, double mean) {
  Moments found;
  for (int i = 0; i < kDraws; ++i) {
    const double difference = draw(StreamKey(17).with(static_cast<uint64_t>(i))) - mean;
    found.mean += difference;
    found.variance += difference * difference;
    found.fourth += std::pow(difference, 4);
  }
  return {mean + found.mean / kDraws, found.variance / kDraws, found.fourth / kDraws};
}

// Beta(a, a): variance 1 / (4 (2 a + 1)), fourth moment 3 / (16 (2 a + 1) (2 a + 3)).
TEST(RandomBeta, HasTheMomentsOfTheDistribution) {
  for (const double alpha : {0.1, 0.2, 0.8, 1.0, 2.5, 30.0}) {
    const Moments found = moments_of([&](StreamKey key) { return random_beta(key, alpha); }, 0.5);
    const double variance = 1 / (4 * (2 * alpha + 1)), fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3));
    const double errors = 5;  // standard errors: one in a million by chance
    EXPECT_NEAR(found.mean, 0.5, errors * std::sqrt(variance / kDraws)) << alpha;
    EXPECT_NEAR(found.variance, variance, errors * std::sqrt((fourth - variance * variance) / kDraws)) << alpha;
    EXPECT_NEAR(found.fourth, fourth, 0.05 * fourth) << alpha;
  }
}

// Gamma(k, 1): mean and variance k.
TEST(RandomLogGamma, HasTheMomentsOfTheDistribution) {
  for (const double shape : {0.3, 1.0, 4.0}) {
    const Moments found = moments_of([&](StreamKey key) { return std::exp(random_log_gamma(key, shape)); }, shape);
    EXPECT_NEAR(found.mean, shape, 5 * std::sqrt(shape / kDraws)) << shape;
    EXPECT_NEAR(found.variance, shape, 5 * std::sqrt((found.fourth - shape * shape) / kDraws)) << shape;
  }
}

TEST(RandomBeta, IsAFunctionOfTheKeyAndStaysInItsRange) {
  EXPECT_EQ(random_beta(StreamKey(1), 0.8), random_beta(StreamKey(1), 0.8));
  EXPECT_NE(random_beta(StreamKey(1), 0.8), random_beta(StreamKey(2), 0.8));
  for (uint64_t i = 0; i < 1000; ++i) {
    const double value = random_beta(StreamKey(i), 1e-4);  // nearly always at an end
    EXPECT_TRUE(value >= 0 && value <= 1) << value;
  }
}

}  // namespace
}  // namespace acm::data
