#pragma once

#include <vector>

#include "acm/model.h"

namespace acm {

// Turns the gates of a model towards more learners (shift > 0) or fewer: shift * k is added to the logit of every count
// k, that is to the gates' last biases. One model meets many budgets so (method.md 10.6).
class GateShift {
 public:
  // Takes the biases as they are now for shift 0. Every ACM layer of the model must have a gate.
  explicit GateShift(nn::Backbone& model);
  // Sets the biases; whatever was set before does not matter.
  void set(double shift);

 private:
  struct Bias {
    at::Tensor bias, original, counts;  // [allowed]; counts in float64
  };
  std::vector<Bias> biases_;
};

}  // namespace acm
