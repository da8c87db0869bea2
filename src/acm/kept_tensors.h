#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace acm {

// Tensors that were made of parameters, kept until one of those changes: for passes without gradients, which would make
// the same again and again. For one thread at a time.
class KeptTensors {
 public:
  template <class Make>  // () -> std::vector<at::Tensor>
  const std::vector<at::Tensor>& of(const std::vector<at::Tensor>& parameters, at::ScalarType type, Make make) {
    std::vector<State> now;
    for (const at::Tensor& one : parameters)
      if (one.defined()) now.push_back({one.const_data_ptr(), one._version(), type});
    if (now != made_of_) {
      tensors_ = make();
      made_of_ = std::move(now);
    }
    return tensors_;
  }

 private:
  struct State {
    const void* data;
    int64_t version;
    at::ScalarType type;
    bool operator==(const State&) const = default;
  };
  std::vector<State> made_of_;
  std::vector<at::Tensor> tensors_;
};

}  // namespace acm
