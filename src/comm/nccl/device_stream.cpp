#include "comm/nccl/device_stream.h"

#include "comm/nccl/cuda_stream.h"
#include "core/error.h"

namespace acm::comm {
namespace {

class HostEvent final : public DeviceEvent {
 public:
  bool is_over() const override { return true; }
  void hold_compute() const override {}
};

class HostStream final : public DeviceStream {
 public:
  void* handle() const override { return nullptr; }
  void follow_compute() override {}
  std::unique_ptr<DeviceEvent> mark() override { return std::make_unique<HostEvent>(); }
};

}  // namespace

#ifndef ACM_WITH_CUDA
std::unique_ptr<DeviceStream> make_cuda_stream(c10::Device device) {
  throw Error(Fault::kUsage, "cannot train on " + device.str() +
                                 ": this program was built without CUDA; build it with the preset cuda");
}
#endif

std::unique_ptr<DeviceStream> make_device_stream(c10::Device device) {
  if (device.is_cpu()) return std::make_unique<HostStream>();
  return make_cuda_stream(device);
}

}  // namespace acm::comm
