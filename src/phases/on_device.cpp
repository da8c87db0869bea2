#include "phases/on_device.h"

namespace acm::phases {

at::Tensor on_device(const at::Tensor& tensor, at::Device device) {
  return tensor.defined() ? tensor.to(device, tensor.scalar_type(), /*non_blocking=*/true) : tensor;
}

data::Batch on_device(data::Batch batch, at::Device device) {
  for (at::Tensor* tensor : {&batch.inputs, &batch.lengths, &batch.labels, &batch.targets})
    *tensor = on_device(*tensor, device);
  return batch;
}

}  // namespace acm::phases
