#include "nn/cuda/token_uniform.h"

#include "core/philox.h"
#include "nn/cuda/launch.h"

namespace acm::nn {
namespace {

constexpr int kThreads = 256;

__global__ void fill(const int64_t* keys, int64_t numbers, int64_t all, double* out) {
  for (int64_t i = first_item(); i < all; i += item_distance())
    out[i] = philox_uniform(static_cast<uint64_t>(keys[i / numbers]), static_cast<uint64_t>(i % numbers));
}

}  // namespace

const char* fill_token_uniform(const int64_t* keys, int64_t samples, int64_t numbers, double* out, void* stream) {
  const int64_t all = samples * numbers;
  return launch(fill, all, kThreads, kThreads, stream, keys, numbers, all, out);
}

}  // namespace acm::nn
