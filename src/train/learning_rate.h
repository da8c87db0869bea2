#pragma once

#include <cstdint>

namespace acm::train {

// method.md 6: linear warm-up over `warmup_steps`, then a cosine from `peak` to `floor`.
struct LearningRate {
  double peak = 1e-3;
  int64_t warmup_steps = 0, steps = 1;
  double floor = 1e-6;
  double at(int64_t step) const;  // step 0 .. steps - 1
};

}  // namespace acm::train
