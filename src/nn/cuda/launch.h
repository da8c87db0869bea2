#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/quotient.h"

namespace acm::nn {

inline constexpr int64_t kMostBlocks = 65536;  // more work than that is shared by strides

// What a thread of a kernel does first, and how far on its next is.
__device__ inline int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t item_distance() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// Puts a kernel on the stream (a cudaStream_t), with a block for each `items_of_block` of the items. Gives what CUDA
// says of that, or nullptr.
template <class... Parameters, class... Arguments>
const char* launch(void (*kernel)(Parameters...), int64_t items, int64_t items_of_block, unsigned threads, void* stream,
                   Arguments... arguments) {
  if (items == 0) return nullptr;
  const int64_t blocks = quotient_up(items, items_of_block);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks));
  config.blockDim = dim3(threads);
  config.stream = static_cast<cudaStream_t>(stream);
  const cudaError_t code = cudaLaunchKernelEx(&config, kernel, arguments...);
  return code == cudaSuccess ? nullptr : cudaGetErrorString(code);
}

}  // namespace acm::nn
