#include "nn/cuda/token_uniform.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "core/philox.h"

namespace acm::nn {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 4096;

__global__ void fill(const int64_t* keys, int64_t numbers, int64_t all, double* out) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += stride)
    out[i] = philox_uniform(static_cast<uint64_t>(keys[i / numbers]), static_cast<uint64_t>(i % numbers));
}

}  // namespace

const char* fill_token_uniform(const int64_t* keys, int64_t samples, int64_t numbers, double* out, void* stream) {
  const int64_t all = samples * numbers;
  if (all == 0) return nullptr;
  const auto blocks = static_cast<unsigned>(std::min((all + kThreads - 1) / kThreads, kMostBlocks));
  fill<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(keys, numbers, all, out);
  const cudaError_t code = cudaGetLastError();
  return code == cudaSuccess ? nullptr : cudaGetErrorString(code);
}

}  // namespace acm::nn
