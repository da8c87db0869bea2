#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "comm/nccl/device_stream.h"

namespace acm::comm {

// A stream of high priority on `device`; errors as of make_device_stream(). cuda_stream.cpp, which is built only with
// ACM_WITH_CUDA, defines it.
std::unique_ptr<DeviceStream> make_cuda_stream(c10::Device device);

}  // namespace acm::comm
