// The CPU in the place of a GPU.
#include "device/test_device.h"

namespace acm {

c10::Device test_device() { return c10::kCPU; }
int64_t host_syncs() { return 0; }

}  // namespace acm
