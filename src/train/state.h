#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace acm::train {

// Walks everything that a checkpoint holds. Saving reads the references it is given and loading writes them.
class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  // Loading copies into the tensor in place; the shape and dtype must be those that were saved.
  virtual void tensor(std::string_view name, at::Tensor& value) = 0;
  virtual void scalar(std::string_view name, int64_t& value) = 0;
};

// Something with state. One function both saves and loads, so the two cannot disagree.
class Stateful {
 public:
  virtual ~Stateful() = default;
  virtual void visit_state(StateVisitor& visitor) = 0;
};

// Named parts of what a checkpoint holds: {"phase", &phase}, {"optimizer", &optimizer}, ...
using Parts = std::vector<std::pair<std::string_view, Stateful*>>;

}  // namespace acm::train
