#include "app/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <cstdlib>

#include "core/error.h"

namespace acm::app {
namespace {

// 0 where the program was built without CUDA.
int64_t visible_gpus() { return at::detail::getCUDAHooks().getNumGPUs(); }

at::Device gpu_of(const comm::Place& place) {
  const bool only_one = visible_gpus() == 1;
  return {at::kCUDA, static_cast<at::DeviceIndex>(only_one ? 0 : place.local_rank)};
}

}  // namespace

at::Device choose_device(const std::string& setting, const comm::Place& place, comm::Communicator& group) {
  if (setting == "cpu") return at::kCPU;
  if (setting == "cuda") return gpu_of(place);
  if (comm::all_reduce_number(group, visible_gpus(), comm::ReduceOp::kMax) == 0) return at::kCPU;
  comm::together(group, [&] {
    if (visible_gpus() == 0)
      throw Error(Fault::kResource, "cannot choose a device: this process on " + place.host +
                                        " sees no GPU, and others do; give all ranks one, or set device = \"cpu\"");
  });
  return gpu_of(place);
}

void set_deterministic(bool on) {
  if (!on) return;
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);  // without it cuBLAS refuses
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // whoever allocates writes all that is read
}

void set_tf32(bool on) { at::globalContext().setAllowTF32CuBLAS(on); }

std::string device_text(at::Device device) { return device.is_cpu() ? "CPU" : device.str(); }

}  // namespace acm::app
