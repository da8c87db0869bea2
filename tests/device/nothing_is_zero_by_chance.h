#pragma once

#include <ATen/Context.h>

namespace acm {

// While it lives, what at::empty() gives is NaN (or the largest integer): memory that must not matter then does where
// it does.
class NothingIsZeroByChance {
 public:
  NothingIsZeroByChance() { at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true); }
  ~NothingIsZeroByChance() { at::globalContext().setDeterministicAlgorithms(false, false); }
  NothingIsZeroByChance(const NothingIsZeroByChance&) = delete;
  NothingIsZeroByChance& operator=(const NothingIsZeroByChance&) = delete;
};

}  // namespace acm
