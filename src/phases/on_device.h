#pragma once

#include <ATen/core/Tensor.h>

namespace acm::phases {

// The tensor on a device, undefined where it was; itself where it is there already. The host does not wait for the
// copy.
at::Tensor on_device(const at::Tensor& tensor, at::Device device);

}  // namespace acm::phases
