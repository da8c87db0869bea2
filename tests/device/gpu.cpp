// The first GPU in place of the mock.
#include <c10/cuda/CUDAFunctions.h>
#include <c10/util/Exception.h>

#include <atomic>
#include <string>

#include "device/test_device.h"

namespace acm {
namespace {

// LibTorch warns of each operation for which the host waits, where it is asked to.
class CountingHandler final : public c10::WarningHandler {
 public:
  CountingHandler() {
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_WARN);
    c10::WarningUtils::set_warning_handler(this);
  }
  void process(const c10::Warning& warning) override {
    syncs += warning.msg().find("synchronizing CUDA operation") != std::string::npos;
  }
  std::atomic<int64_t> syncs = 0;
};

CountingHandler& handler() {
  static CountingHandler handler;
  return handler;
}

}  // namespace

c10::Device test_device() {
  handler();
  return {c10::kCUDA, 0};
}

int64_t host_syncs() { return handler().syncs; }

}  // namespace acm
