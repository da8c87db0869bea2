#pragma once

#include <vector>

#include "train/phase.h"

namespace acm::train {

// Adam (0.9, 0.999, 1e-8 outside the root) with AdamW's decoupled weight decay where a parameter has one; each group's
// gradients are first scaled by min(1, max_grad_norm / (norm + 1e-6)) (golden/README.md 6). On the CPU
// norms are summed in a fixed order, so that the bits of an update do not depend on the number of threads; elsewhere
// LibTorch's fused kernels update many parameters at once.
class Optimizer final : public Stateful {
 public:
  explicit Optimizer(std::vector<ParameterGroup> groups);

  // Of all groups, in order.
  std::vector<NamedParameter> named_parameters() const;
  std::vector<at::Tensor> parameters() const;

  // L2 norm of each group's gradients, float64 [groups] where the parameters live; a parameter without a gradient
  // counts as zero. Neither of the two has the host wait for a device.
  at::Tensor gradient_norms() const;
  // One update with the norms that gradient_norms() gave. `left_out`: float32 scalar beside the parameters; where it is
  // 1 nothing changes but the count of updates. Undefined: 0.
  void step(double learning_rate, const at::Tensor& norms, const at::Tensor& left_out = {});
  int64_t updates() const { return steps_; }
  // Forgets the count of updates that were left out.
  void return_to(int64_t updates) { steps_ = updates; }
  void visit_state(
      StateVisitor& visitor) override;  // moments and the step count; parameters themselves belong to the phase

 private:
  struct Moments {
    at::Tensor first, second;
  };
  void step_on_host(size_t group, double learning_rate, double norm);
  void step_on_device(size_t group, double learning_rate, const at::Tensor& norm, const at::Tensor& left_out);

  std::vector<ParameterGroup> groups_;
  std::vector<std::vector<Moments>> moments_;  // by group and parameter
  int64_t steps_ = 0;
};

// Sum of squares on the CPU in a fixed order: float64, the same bits at any thread count.
double ordered_sum_of_squares(const at::Tensor& tensor);

}  // namespace acm::train
