#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>

#include "comm/call.h"
#include "comm/communicator.h"
#include "comm/nccl/device_stream.h"
#include "comm/nccl/nccl_abi.h"

namespace acm::comm {

struct NcclCommon;

struct NcclOptions {
  double join_seconds = 120;  // until a group must be complete
  std::function<std::unique_ptr<DeviceStream>(c10::Device)> make_stream = make_device_stream;
};

// NCCL as one rank uses it: makes its groups, knows which of their collectives are in flight, and ends them. What NCCL
// holds for a group goes with this object, not with the group.
class Nccl {
 public:
  explicit Nccl(const nccl::Functions& functions, NcclOptions options = {});
  ~Nccl();  // abort()
  Nccl(const Nccl&) = delete;

  // Collective. A group of the ranks of `control`, for tensors on `device`. `control` is for hosts; it carries the id
  // of the group, and the colours of its parts. Both must outlive the group. Where a rank fails, all throw the same
  // Error.
  //
  // Collectives do not hold up the host, but for barrier() and while NCCL opens connections: what they give is there
  // for whatever the calling thread puts on its compute stream once all_gather() and broadcast() have returned, and a
  // Work was waited for.
  std::unique_ptr<Communicator> connect(Communicator& control, c10::Device device, std::string name);

  // The collective that this rank is in, or was in last, where `other` is that of its other roads; from any thread.
  // Tells of failures, too.
  Call current_call(const Call& other) const;
  // Ends whatever is in flight, from any thread, without waiting longer than two seconds. The end of the process must
  // follow: a thread that makes another collective stands still.
  void abort() noexcept;

 private:
  std::shared_ptr<NcclCommon> common_;  // shared with the thread that aborts, which may outlive this object
};

}  // namespace acm::comm
