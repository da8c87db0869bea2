#pragma once

#include <c10/core/DeviceGuard.h>

namespace acm::nn {

// While it lives, what this thread launches runs on the GPU; made within the call that launches, it lives as long.
class OnGpu {
 public:
  explicit OnGpu(at::Device device);
  void* stream() const { return stream_; }  // the cudaStream_t on which LibTorch puts what this thread asks of the GPU

 private:
  c10::OptionalDeviceGuard guard_;
  void* stream_ = nullptr;
};

// Throws where CUDA said something of a kernel; `what` completes "cannot ... on a GPU".
void check_launch(const char* failure, const char* what);

}  // namespace acm::nn
