#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <span>

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

// A copy of whole numbers to the host, which waits for it alone, and not for what is put on the stream behind it.
class CopyToHost {
 public:
  explicit CopyToHost(const at::Tensor& there);  // int64, on a GPU
  std::span<const int64_t> wait() const;

 private:
  at::Tensor here_;
  c10::Event done_;
};

// Throws where CUDA said something of a kernel; `what` completes "cannot ... on a GPU".
void check_launch(const char* failure, const char* what);

}  // namespace acm::nn
