// The formulas of the kernels for GPUs, with the CPU's exponential and division.
#include "nn/cuda/gelu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace acm {
namespace {

TEST(GeluOnAGpu, IsAsNearAsItsFormulasSay) {
  double worst = 0, worst_slope = 0, worst_alone = 0;
  for (int i = -100'000; i <= 100'000; ++i) {
    const float x = static_cast<float>(i) / 5000;
    const double probability = 0.5 * std::erfc(-x / std::sqrt(2.0)),
                 density = std::exp(-0.5 * x * x) / std::sqrt(8 * std::atan(1.0));
    worst = std::max(worst, std::abs(nn::gelu(x).value - x * probability));
    worst_slope = std::max(worst_slope, std::abs(nn::gelu(x).slope - (probability + x * density)));
    worst_alone = std::max(worst_alone, std::abs(nn::gelu_value(x) - x * probability));
  }
  EXPECT_LE(worst, 7e-7);
  EXPECT_LE(worst_slope, 5e-7);
  EXPECT_LE(worst_alone, 6.4e-7);
}

}  // namespace
}  // namespace acm
