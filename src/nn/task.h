#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/batch.h"

namespace acm::nn {

// What a backbone's outputs are for: the loss that trains them and the counts that judge them.
class Task {
 public:
  virtual ~Task() = default;
  virtual at::Tensor losses(const at::Tensor& outputs, const data::Batch& batch) const = 0;  // [samples]
  // Whole numbers that add up over samples and ranks, int64 [n].
  virtual at::Tensor counts(const at::Tensor& outputs, const data::Batch& batch) const = 0;
  // Named figures from summed counts: {"top1", 0.881}, ...
  virtual std::vector<std::pair<std::string, double>> figures(const at::Tensor& counts) const = 0;
};

// Cross-entropy over classes, with the batch's soft targets where it has some; counts, by the labels, are {samples,
// top-1 hits, top-5 hits}, ties going to the lower class index.
std::unique_ptr<Task> make_classification();

}  // namespace acm::nn
