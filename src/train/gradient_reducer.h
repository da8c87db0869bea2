#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace acm::train {

// In which order gradients of slices and ranks add up. kAsTheyCome: a rank adds its slices one after another, the group
// as its communicator does. kTree: slices add in a binary tree over their numbers, whichever rank computes them, so
// that 1, 2, 4, ... ranks that share a power of two of slices get the same bits.
enum class SumOrder { kAsTheyCome, kTree };

// Sums gradients over a group, where the order allows it while backward is still running. Backward leaves the gradients
// of a step's first slice as it made them; when the last one of a bucket has arrived they are gathered in one tensor,
// of which the grad fields are views from then on. Later slices are added there, and it is reduced in place, in index
// order on every rank. Owns the parameters' grad fields while it lives.
class GradientReducer {
 public:
  static constexpr int64_t kBucketBytes = int64_t{4} << 20;
  GradientReducer(std::vector<at::Tensor> parameters, comm::Communicator& group, int64_t bucket_bytes = kBucketBytes,
                  SumOrder order = SumOrder::kAsTheyCome);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;

  void zero();       // starts a step: grad fields are undefined, which counts as zero
  void arm();        // the next backward is the last micro-batch of the step: its gradients are final
  void end_slice();  // after each slice's backward, the last one's too; kTree leaves grad fields undefined here
  void finish();     // collective: launches what is left (parameters without a gradient count zero) and waits; all grad
                     // fields are now defined and hold the sum over the group

  size_t buckets() const;
  size_t launched_during_backward() const;  // of the last step

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace acm::train
