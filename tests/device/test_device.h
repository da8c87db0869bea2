#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace acm {

// The device that the tests of this program run on: the mock (mock_device.h), or a GPU (gpu.cpp).
c10::Device test_device();

// How often the host had to wait for the device, since the start.
int64_t host_syncs();

}  // namespace acm
