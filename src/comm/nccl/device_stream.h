#pragma once

#include <c10/core/Device.h>

#include <memory>

namespace acm::comm {

// A point in the work of a DeviceStream: over when everything before it is.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  virtual bool is_over() const = 0;  // from any thread, without waiting
  // What the calling thread gives its compute stream from now on runs after the event. The host does not wait.
  virtual void hold_compute() const = 0;
};

// The queue of a device on which collectives run, beside the compute stream: LibTorch's current stream of the calling
// thread. Failures of the device are c10::Error, as LibTorch's own are.
class DeviceStream {
 public:
  virtual ~DeviceStream() = default;
  virtual void* handle() const = 0;  // as NCCL takes it
  // What comes on this stream from now on runs after all that the compute stream holds; makes the device the calling
  // thread's current one, too, which NCCL asks for.
  virtual void follow_compute() = 0;
  virtual std::unique_ptr<DeviceEvent> mark() = 0;  // the point behind all that this stream holds
};

// On the CPU all work is done at once, so every event is over. On a CUDA device a stream of high priority;
// Error(kUsage) where the program was built without CUDA, Error(kResource) where there is no such device.
std::unique_ptr<DeviceStream> make_device_stream(c10::Device device);

}  // namespace acm::comm
