#include "comm/nccl/cuda_stream.h"

#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "core/error.h"

namespace acm::comm {
namespace {

class CudaEvent final : public DeviceEvent {
 public:
  explicit CudaEvent(const c10::cuda::CUDAStream& stream) { event_.record(stream); }
  bool is_over() const override { return event_.query(); }
  void hold_compute() const override { event_.block(c10::cuda::getCurrentCUDAStream(event_.device_index())); }

 private:
  mutable c10::cuda::CUDAEvent event_;  // block() is not const and leaves it as it is
};

class CudaStream final : public DeviceStream {
 public:
  explicit CudaStream(c10::Device device) : stream_(c10::cuda::getStreamFromPool(true, device.index())) {}
  void* handle() const override { return stream_.stream(); }
  void follow_compute() override {
    c10::cuda::set_device(stream_.device_index());
    c10::cuda::CUDAEvent computed;
    computed.record(c10::cuda::getCurrentCUDAStream(stream_.device_index()));
    computed.block(stream_);
  }
  std::unique_ptr<DeviceEvent> mark() override { return std::make_unique<CudaEvent>(stream_); }

 private:
  c10::cuda::CUDAStream stream_;
};

}  // namespace

std::unique_ptr<DeviceStream> make_cuda_stream(c10::Device device) {
  int devices = 0;
  if (const auto code = cudaGetDeviceCount(&devices); code != cudaSuccess)
    throw Error(Fault::kResource, "cannot train on " + device.str() + ": CUDA says '" + cudaGetErrorString(code) +
                                      "'; see that the job was given a GPU and that nvidia-smi shows it");
  if (device.index() < 0 || device.index() >= devices)
    throw Error(Fault::kResource, "cannot train on " + device.str() + ": this process sees " + std::to_string(devices) +
                                      " GPU(s), numbered from 0; start at most one rank for each");
  c10::cuda::set_device(device.index());
  return std::make_unique<CudaStream>(device);
}

}  // namespace acm::comm
