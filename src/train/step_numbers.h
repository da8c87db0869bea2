#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "comm/communicator.h"

namespace acm::train {

// The loss and the gradient norms of the newest step. On the CPU the host has them at once. On another device they stay
// where they are until the host needs them, so that it never waits within a step; once they are not finite there they
// stay those of that step, and stopped() keeps the optimizer from changing anything until restart(): when the host
// looks, it finds everything as it was before the bad step.
class StepNumbers {
 public:
  struct Values {
    int64_t step = 0, updates = 0;  // of the step that the numbers are of; the updates that were made before it
    double loss = 0;                // this rank's part
    std::vector<double> norms;      // by parameter group
    bool finite = true;
  };

  // loss: float64 scalar. norms: float64 [groups], the same on all ranks. Collective over `group` on a device other
  // than the CPU, because the loss is not.
  void take(int64_t step, int64_t updates, const at::Tensor& loss, const at::Tensor& norms, comm::Communicator& group);
  const at::Tensor& norms() const { return norms_; }  // of the newest step
  // float32 scalar: 1 where updates must be left out. Undefined on the CPU, where the caller can tell in time.
  const at::Tensor& stopped() const { return stopped_; }
  // Waits for the device. Numbers must have been taken.
  Values read() const;
  void restart() { kept_ = stopped_ = at::Tensor(); }

 private:
  at::Tensor kept_;     // float64 [3 + groups]: step, updates, loss, norms
  at::Tensor stopped_;  // float32 scalar
  at::Tensor norms_;    // float64 [groups]
};

}  // namespace acm::train
