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

// Sums gradients over a group, where the order allows it while backward is still running. Each gradient is a view into
// one of a few flat buckets; a bucket is reduced in place when its last gradient has arrived, in index order on every
// rank, and nothing is copied. Owns the parameters' grad fields while it lives.
class GradientReducer {
 public:
  static constexpr int64_t kBucketBytes = int64_t{4} << 20;
  GradientReducer(std::vector<at::Tensor> parameters, comm::Communicator& group, int64_t bucket_bytes = kBucketBytes,
                  SumOrder order = SumOrder::kAsTheyCome);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;

  void zero();       // gradients back to zero, still views
  void arm();        // the next backward is the last micro-batch of the step: its gradients are final
  void end_slice();  // after each slice's backward, the last one's too
  void finish();  // collective: launches what is left (parameters without a gradient count zero) and waits; gradients
                  // now hold the sum over the group

  size_t buckets() const;
  size_t launched_during_backward() const;  // of the last step

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace acm::train
