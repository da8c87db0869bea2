#pragma once

#include "acm/model.h"
#include "phases/run.h"

namespace acm::phases {

// The dense model that phases 1 and 2 learned from, whose outputs phase 3 may learn from too. Held whole on every rank;
// never trained.
class FrozenTeacher {
 public:
  explicit FrozenTeacher(const Run& run);
  // Kullback-Leibler divergence of softmax(outputs) from the teacher's, on the same inputs: [samples], differentiable
  // in outputs [samples, classes].
  at::Tensor divergence(const at::Tensor& outputs, const data::Batch& batch);

 private:
  Model model_;
};

}  // namespace acm::phases
