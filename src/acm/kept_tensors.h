#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

namespace acm {

// Tensors that were made of parameters, kept until one of those changes: for passes without gradients, which would make
// the same again and again. For one thread at a time.
class KeptTensors {
 public:
  template <class Make>  // () -> std::vector<at::Tensor>
  const std::vector<at::Tensor>& of(const std::vector<at::Tensor>& parameters, at::ScalarType type, Make make) {
    if (!made_of(parameters, type)) {
      tensors_ = make();
      type_ = type;
      parameters_.clear();
      for (const at::Tensor& one : parameters)
        parameters_.push_back({one.defined() ? one.detach() : one, version_of(one)});
    }
    return tensors_;
  }

 private:
  struct Parameter {
    at::Tensor values;  // held, so that no other parameter can come to lie there
    int64_t version;
  };
  static int64_t version_of(const at::Tensor& one) { return one.defined() ? one._version() : 0; }
  static const void* place_of(const at::Tensor& one) { return one.defined() ? one.const_data_ptr() : nullptr; }

  bool made_of(const std::vector<at::Tensor>& parameters, at::ScalarType type) const {
    return type == type_ &&
           std::ranges::equal(parameters, parameters_, [](const at::Tensor& now, const Parameter& before) {
             return place_of(now) == place_of(before.values) && version_of(now) == before.version;
           });
  }

  at::ScalarType type_ = at::ScalarType::Undefined;
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> tensors_;
};

// Of a site, what passes without gradients on a GPU read in the place of its parameters.
struct KeptSite {
  KeptTensors learners, gate;
};

}  // namespace acm
