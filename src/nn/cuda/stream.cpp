#include "nn/cuda/stream.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace acm::nn {

OnGpu::OnGpu(at::Device device) : guard_(device) {
  const c10::impl::VirtualGuardImpl gpu(device.type());
  stream_ = gpu.getStreamNativeHandle(gpu.getStream(device));
}

}  // namespace acm::nn
