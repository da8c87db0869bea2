#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/quotient.h"

namespace acm::nn {

// Threads of a warp, and the mask of all of them.
inline constexpr int kLanes = 32;
inline constexpr unsigned kAllLanes = 0xffffffff;

inline constexpr int64_t kMostBlocks = 65536;  // more work than that is shared by strides

// What a thread of a kernel does first, and how far on its next is.
__device__ inline int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t item_distance() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// Whether a kernel begins when the work before it on the stream is done, or as its last blocks end, which kernels for
// GPUs of compute capability 9.0 may: to be launched and set up then costs no time of its own, and all threads call
// wait_for_work_before() before they read or write memory.
enum class Begin { kAfterWorkBefore, kAsWorkBeforeEnds };

__device__ inline void wait_for_work_before() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Gives what CUDA says of the launch, or nullptr.
template <class... Parameters, class... Arguments>
const char* launch(cudaLaunchConfig_t config, Begin begin, void (*kernel)(Parameters...),
                   const Arguments&... arguments) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &overlap;
  config.numAttrs = begin == Begin::kAsWorkBeforeEnds ? 1 : 0;
  const cudaError_t code = cudaLaunchKernelEx(&config, kernel, arguments...);
  return code == cudaSuccess ? nullptr : cudaGetErrorString(code);
}

// A block for each `items_of_block` of the items.
inline cudaLaunchConfig_t blocks_for(int64_t items, int64_t items_of_block, unsigned threads, void* stream) {
  const int64_t blocks = quotient_up(items, items_of_block);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks));
  config.blockDim = dim3(threads);
  config.stream = static_cast<cudaStream_t>(stream);
  return config;
}

// Puts a kernel on the stream (a cudaStream_t), with a block for each `items_of_block` of the items. Gives what CUDA
// says of that, or nullptr.
template <class... Parameters, class... Arguments>
const char* launch(void (*kernel)(Parameters...), int64_t items, int64_t items_of_block, unsigned threads, void* stream,
                   Arguments... arguments) {
  if (items == 0) return nullptr;
  return launch(blocks_for(items, items_of_block, threads, stream), Begin::kAfterWorkBefore, kernel, arguments...);
}

}  // namespace acm::nn
