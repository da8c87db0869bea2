#pragma once

#include <c10/core/Device.h>

#include "device/test_device.h"

namespace acm {

// An accelerator without hardware, for tests on machines without a GPU: tensors on it lie in memory of their own kind,
// which the host's operations refuse, and the CPU computes what is asked of them. It stands in for CUDA wherever the
// program does not name CUDA itself:
// - An operation that mixes its tensors with the host's fails, as it does on CUDA (scalars aside).
// - What would have the host wait for the device is counted: blocking copies between the two, copies to it of more than
//   a few numbers that do not lie in pinned memory, values read from it, and operations whose results have a size that
//   the device decides.
// - A copy to the host that does not block arrives when an event that was recorded behind it is waited for; until then
//   the host reads bytes of 0xFF, which are not numbers. Likewise one to the device on another stream than the default,
//   until a stream waits for the event.
// - Memory that was allocated under another stream is refused on the default one, unless it is recorded there.
// It is LibTorch's device type `mtia`, which nothing on the test machines provides.
c10::Device mock_device();

// While it lives, what would have the host wait for the device fails, on any thread.
class HostSyncsForbidden {
 public:
  HostSyncsForbidden();
  ~HostSyncsForbidden();
  HostSyncsForbidden(const HostSyncsForbidden&) = delete;
};

}  // namespace acm
