#pragma once

#include <cstdint>

namespace acm {

// Of the learners of a site: D, N, b.
struct LearnerShape {
  int64_t width, learners, learner_width;
  constexpr int64_t hidden() const { return learners * learner_width; }
};

}  // namespace acm
