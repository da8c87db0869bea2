#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace acm::nn {

// What products of these tokens are to be computed in: autocast's type where it is on for their device, else their own.
at::ScalarType product_type(const at::Tensor& tokens);

// While it lives, products of the forward passes of this thread run in bfloat16 on the device, with sums in float32
// (LibTorch's autocast). Parameters and their gradients stay float32, and so do the residual stream and the norms,
// which read it; on a GPU these round what they give, for all who read that. Off: does nothing.
class Autocast {
 public:
  Autocast(at::Device device, bool on);
  ~Autocast();
  Autocast(const Autocast&) = delete;

 private:
  const at::DeviceType device_;
  const bool on_, enabled_before_;
  const at::ScalarType dtype_before_;
};

}  // namespace acm::nn
