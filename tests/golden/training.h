#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/json.h"
#include "io/safetensors.h"
#include "train/learning_rate.h"
#include "train/optimizer.h"

namespace golden {

// The optimizer and the learning rates that a case's config describes, and what each step saw.
class Training {
 public:
  Training(const acm::Json& config, const acm::io::NamedTensors& parameters);

  void step(const at::Tensor& loss);

  at::Tensor losses() const;          // [steps]
  at::Tensor gradient_norms() const;  // [steps], before clipping
  at::Tensor learning_rates() const;  // [steps]

 private:
  acm::io::NamedTensors parameters_;
  acm::train::LearningRate learning_rate_;
  acm::train::Optimizer optimizer_;
  std::vector<double> losses_, norms_, rates_;
};

}  // namespace golden
