#pragma once

#include <map>
#include <string>

#include "train/state.h"

namespace acm::train {

// Tensors by "part.name"; shapes in a message read "[3, 4]".
using TensorMap = std::map<std::string, at::Tensor>;
using ScalarMap = std::map<std::string, int64_t>;
std::string shape_text(at::IntArrayRef shape);
std::string dtype_name(const at::Tensor& tensor);  // "Float", "Double", "Long", ...

// What parts hold now: the tensors themselves, not copies.
struct State {
  TensorMap tensors;
  ScalarMap scalars;
};
State state_of(const Parts& parts);

// Copies `saved` into the parts, in place. Error(kUsage), before anything is touched, where names, shapes or dtypes
// differ; `where` names the checkpoint in it.
void restore(const Parts& parts, const State& saved, const std::string& where);

}  // namespace acm::train
