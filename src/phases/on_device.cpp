#include "phases/on_device.h"

namespace acm::phases {

at::Tensor on_device(const at::Tensor& tensor, at::Device device) {
  return tensor.defined() ? tensor.to(device, tensor.scalar_type(), /*non_blocking=*/true) : tensor;
}

}  // namespace acm::phases
