#include "train/learning_rate.h"

#include <cmath>
#include <numbers>

namespace acm::train {

double LearningRate::at(int64_t step) const {
  if (step < warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  const double share = static_cast<double>(step - warmup_steps) / static_cast<double>(steps - warmup_steps);
  return floor + (peak - floor) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

}  // namespace acm::train
