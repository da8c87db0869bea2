// There is one stream: what is put on it is done at once.
#include "nn/cuda/stream.h"

namespace acm::nn {

void* stream_of(at::Device) { return nullptr; }

}  // namespace acm::nn
