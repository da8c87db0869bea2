// There is one stream: what is put on it is done at once.
#include "nn/cuda/stream.h"

namespace acm::nn {

OnGpu::OnGpu(at::Device) {}

}  // namespace acm::nn
