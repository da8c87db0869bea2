#include "nn/cuda/stream.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace acm::nn {

OnGpu::OnGpu(at::Device device) : guard_(device) {
  const c10::impl::VirtualGuardImpl gpu(device.type());
  stream_ = gpu.getStreamNativeHandle(gpu.getStream(device));
}

CopyToHost::CopyToHost(const at::Tensor& there)
    : here_(at::empty(there.sizes(), at::TensorOptions().dtype(at::kLong).pinned_memory(true))),
      done_(there.device().type()) {
  here_.copy_(there, /*non_blocking=*/true);
  done_.record(c10::impl::VirtualGuardImpl(there.device().type()).getStream(there.device()));
}

std::span<const int64_t> CopyToHost::wait() const {
  done_.synchronize();
  return {here_.const_data_ptr<int64_t>(), static_cast<size_t>(here_.numel())};
}

}  // namespace acm::nn
