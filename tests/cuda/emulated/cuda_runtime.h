// What kernels and their launches need of CUDA, on the CPU: the threads of a block are threads, blocks come one after
// another. Found in the place of CUDA's header by tests that are built without it.
#pragma once

#include <algorithm>
#include <atomic>
#include <barrier>
#include <bit>
#include <cmath>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __shared__ static  // one block at a time
#define __launch_bounds__(...)
#define __grid_constant__
#define __cluster_dims__(...)

using std::isnan;
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }

struct dim3 {
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess, cudaErrorInvalidConfiguration };
inline const char* cudaGetErrorString(cudaError_t) { return "invalid configuration argument"; }
enum { cudaLaunchAttributeProgrammaticStreamSerialization };
struct cudaLaunchAttribute {
  int id;
  struct {
    int programmaticStreamSerializationAllowed;
  } val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

namespace emulated {

constexpr unsigned kMostThreads = 1024, kWarp = 32;

// What the threads of the block that runs share.
struct Block {
  explicit Block(unsigned threads) : all(threads) {
    for (unsigned first = 0; first < threads; first += kWarp) warps.emplace_back(std::min(kWarp, threads - first));
  }
  std::barrier<> all;
  std::deque<std::barrier<>> warps;
  float shuffled[kMostThreads];
};
inline Block* block = nullptr;

}  // namespace emulated

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;
inline void __syncthreads() { emulated::block->all.arrive_and_wait(); }
inline void __syncwarp() { emulated::block->warps[threadIdx.x / emulated::kWarp].arrive_and_wait(); }

// Of all lanes of a warp.
inline int __shfl_sync(unsigned, int value, int lane) {
  const unsigned thread = threadIdx.x, first = thread / emulated::kWarp * emulated::kWarp;
  auto& warp = emulated::block->warps[thread / emulated::kWarp];
  emulated::block->shuffled[thread] = std::bit_cast<float>(value);
  warp.arrive_and_wait();
  const float other = emulated::block->shuffled[first + static_cast<unsigned>(lane)];
  warp.arrive_and_wait();
  return std::bit_cast<int>(other);
}
inline int other_lane(int lane_mask) { return static_cast<int>(threadIdx.x % emulated::kWarp) ^ lane_mask; }
inline float __shfl_xor_sync(unsigned lanes, float value, int lane_mask) {
  return std::bit_cast<float>(__shfl_sync(lanes, std::bit_cast<int>(value), other_lane(lane_mask)));
}
inline unsigned __shfl_xor_sync(unsigned lanes, unsigned value, int lane_mask) {
  return static_cast<unsigned>(__shfl_sync(lanes, static_cast<int>(value), other_lane(lane_mask)));
}

inline unsigned __ballot_sync(unsigned, bool value) {
  const unsigned first = threadIdx.x / emulated::kWarp * emulated::kWarp;
  auto& warp = emulated::block->warps[threadIdx.x / emulated::kWarp];
  emulated::block->shuffled[threadIdx.x] = value;
  warp.arrive_and_wait();
  unsigned all = 0;
  for (unsigned lane = 0; lane < emulated::kWarp; ++lane)
    all |= static_cast<unsigned>(emulated::block->shuffled[first + lane]) << lane;
  warp.arrive_and_wait();
  return all;
}
inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1; }

// Which lanes have the same value.
inline unsigned __match_any_sync(unsigned lanes, int value) {
  unsigned all = 0;
  for (int lane = 0; lane < static_cast<int>(emulated::kWarp); ++lane)
    all |= static_cast<unsigned>(__shfl_sync(lanes, value, lane) == value) << lane;
  return all;
}

inline int atomicAdd(int* to, int more) { return std::atomic_ref(*to).fetch_add(more); }
inline int atomicExch(int* to, int value) { return std::atomic_ref(*to).exchange(value); }

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  const unsigned size = config->blockDim.x;
  if (size == 0 || size > emulated::kMostThreads || config->gridDim.x == 0) return cudaErrorInvalidConfiguration;
  emulated::Block block(size);
  emulated::block = &block;
  std::vector<std::jthread> threads;
  for (unsigned thread = 0; thread < size; ++thread)
    threads.emplace_back([&, thread] {
      threadIdx = {thread};
      blockDim = config->blockDim;
      gridDim = config->gridDim;
      for (unsigned i = 0; i < gridDim.x; ++i) {
        blockIdx = {i};
        kernel(arguments...);
        __syncthreads();
      }
    });
  return cudaSuccess;
}
