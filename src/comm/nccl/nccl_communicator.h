#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "comm/nccl/calls_in_flight.h"
#include "comm/nccl/device_stream.h"
#include "comm/nccl/nccl_link.h"

namespace acm::comm {

// What the groups of a rank have in common.
struct NcclCommon {
  const nccl::Functions functions;
  const double join_seconds;
  const std::function<std::unique_ptr<DeviceStream>(c10::Device)> make_stream;
  CallsInFlight calls;

  void add(std::shared_ptr<NcclLink> link) {
    const std::lock_guard lock(mutex);
    links.push_back(std::move(link));
  }
  std::vector<std::shared_ptr<NcclLink>> all_links() {
    const std::lock_guard lock(mutex);
    return links;
  }

  std::mutex mutex;
  std::vector<std::shared_ptr<NcclLink>> links;
};

// Nccl::connect(); `common` must outlive the group as well.
std::unique_ptr<Communicator> make_nccl_communicator(NcclCommon& common, Communicator& control, c10::Device device,
                                                     std::string name);

}  // namespace acm::comm
