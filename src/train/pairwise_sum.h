#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace acm::train {

// Adds tensors of one shape in a binary tree over the order in which they come, ((a + b) + (c + d)) + ...: the bits
// depend on the values and their order alone. Where 2^n of them are cut into aligned parts of 2^m, the sum of the
// parts' sums is the same tree. Holds one partial sum for each level.
class PairwiseSum {
 public:
  void add(at::Tensor value);  // takes the tensor, which may be overwritten
  at::Tensor take();           // the sum; starts anew. Undefined where nothing was added
 private:
  struct Partial {
    int64_t leaves;
    at::Tensor sum;
  };
  std::vector<Partial> partials_;  // of falling numbers of leaves
};

}  // namespace acm::train
