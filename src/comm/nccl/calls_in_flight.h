#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <vector>

#include "comm/call.h"
#include "comm/nccl/device_stream.h"

namespace acm::comm {

// One collective on a device, and the tensors that it reads and writes.
struct Flight {
  Call call;
  std::vector<at::Tensor> tensors;
  std::unique_ptr<DeviceEvent> end;  // none yet: it is not on its stream
};

// The collectives of a rank that are not over. Holds their tensors, which a device may still use when their caller has
// let go of them. From any thread.
class CallsInFlight {
 public:
  std::shared_ptr<Flight> begin(Call call, std::vector<at::Tensor> tensors);
  // Its last work on the stream is before `end`.
  void launched(Flight& flight, std::unique_ptr<DeviceEvent> end);
  // The oldest that is not over, where there is one; otherwise the newest. c10::Error where the device has failed.
  Call current();

 private:
  std::vector<std::shared_ptr<Flight>> take_those_over();

  std::mutex mutex_;                              // of all below, and of every Flight::end until it is launched
  std::vector<std::shared_ptr<Flight>> flights_;  // oldest first
  Call newest_;
};

}  // namespace acm::comm
