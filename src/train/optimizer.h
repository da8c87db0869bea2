#pragma once

#include <vector>

#include "train/phase.h"

namespace acm::train {

// Adam (0.9, 0.999, 1e-8 outside the root) with AdamW's decoupled weight decay where a parameter has one; each group's
// gradients are first scaled by min(1, max_grad_norm / (norm + 1e-6)) (golden/README.md 6). Norms are summed in a fixed
// order, so that the bits of an update do not depend on the number of threads.
class Optimizer final : public Stateful {
 public:
  explicit Optimizer(std::vector<ParameterGroup> groups);

  // Of all groups, in order.
  std::vector<NamedParameter> named_parameters() const;
  std::vector<at::Tensor> parameters() const;

  // L2 norm of each group's gradients; a parameter without a gradient counts as zero.
  std::vector<double> gradient_norms() const;
  // One update with the norms that gradient_norms() gave.
  void step(double learning_rate, const std::vector<double>& norms);
  void visit_state(
      StateVisitor& visitor) override;  // moments and the step count; parameters themselves belong to the phase

 private:
  struct Moments {
    at::Tensor first, second;
  };
  std::vector<ParameterGroup> groups_;
  std::vector<std::vector<Moments>> moments_;  // by group and parameter
  int64_t steps_ = 0;
};

// Sum of squares in a fixed order: float64, the same bits at any thread count.
double ordered_sum_of_squares(const at::Tensor& tensor);

}  // namespace acm::train
