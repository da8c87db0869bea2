#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "nn/cuda/launch.h"

namespace acm::nn::hopper {

// What GPUs of compute capability 9.0, and no others, have for products of matrices: tiles of a matrix that come into
// shared memory by themselves (TMA), barriers that count their bytes (mbarrier), and products by four warps at once, a
// warpgroup, of tiles in shared memory (wgmma). Code that uses it is compiled for sm_90a. The instructions are those of
// the PTX ISA of these names: cp.async.bulk and its form for tensors, mbarrier, mapa, barrier.cluster, wgmma,
// setmaxnreg.

inline constexpr int kCluster = 2;      // blocks that run beside one another and can fill each other's shared memory
inline constexpr int kWarpgroup = 128;  // threads
inline constexpr int kTileDepth = 64;   // bfloat16 numbers of a row of a tile: 128 bytes

__device__ inline uint32_t shared_address(const void* in_shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(in_shared));
}

// Opens when so many have arrived and all announced bytes have come; then its phase, 0 or 1, is the other one.
class Barrier {
 public:
  __device__ void init(unsigned arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(this)), "r"(arrivals));
  }
  __device__ void arrive_at(unsigned block) {  // of the cluster: at its barrier at the same address
    asm volatile(
        "{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; mbarrier.arrive.shared::cluster.b64 _, [there]; "
        "}" ::"r"(shared_address(this)),
        "r"(block)
        : "memory");
  }
  __device__ void arrive_announcing(unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(this)), "r"(bytes)
                 : "memory");
  }
  __device__ void wait(unsigned phase) const {  // until that phase is over
    unsigned over;
    do {
      asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                   : "=r"(over)
                   : "r"(shared_address(this)), "r"(phase)
                   : "memory");
    } while (over == 0);
  }

 private:
  uint64_t state_;
};
// After init, before other threads and the unit that copies tiles see them.
__device__ inline void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// A matrix of bfloat16 numbers in memory and its tiles of kTileDepth columns; a parameter of a kernel,
// __grid_constant__.
using Tiles = CUtensorMap;

// The driver's function that describes a matrix for them; nullptr where it has none.
inline decltype(&cuTensorMapEncodeTiled) find_encoder() {
  void* encoder = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t code =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encoder, 12000, cudaEnableDefault, &found);
  const bool any = code == cudaSuccess && found == cudaDriverEntryPointSuccess;
  return any ? reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(encoder) : nullptr;
}

// from: [rows, columns] without gaps, at a multiple of 16 bytes, columns a multiple of 8. tile_rows: at most 256.
// Gives what CUDA says, or nullptr.
inline const char* tiles_of(const void* from, int64_t rows, int64_t columns, unsigned tile_rows, Tiles* tiles) {
  static const auto encode = find_encoder();  // each search takes longer than what it finds
  if (encode == nullptr) return "the driver has no cuTensorMapEncodeTiled";
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)};
  const cuuint64_t row_bytes = sizes[0] * 2;
  const cuuint32_t box[] = {kTileDepth, tile_rows}, steps[] = {1, 1};
  const CUresult result = encode(tiles, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(from), sizes, &row_bytes,
                                 box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? nullptr : "a matrix cannot be copied by tiles";
}

// Starts the copy of the tile that begins there; what lies outside the matrix is zeros. `to`: a multiple of 1,024
// bytes.
__device__ inline void copy_tile(const Tiles& tiles, int first_row, int first_column, void* to, Barrier& filled) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::
          "r"(shared_address(to)),
      "l"(&tiles), "r"(shared_address(&filled)), "r"(first_column), "r"(first_row)
      : "memory");
}

// The same, to the same address in all blocks of the cluster (multicast), and noted at the barriers of all.
__device__ inline void copy_tile_to_all(const Tiles& tiles, int first_row, int first_column, void* to,
                                        Barrier& filled) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(to)),
      "l"(&tiles), "r"(shared_address(&filled)), "r"(first_column), "r"(first_row),
      "h"(static_cast<uint16_t>((1 << kCluster) - 1))
      : "memory");
}

// Starts the copy of so many bytes, a multiple of 16, from memory.
__device__ inline void copy_to_shared(void* to, const void* from, unsigned bytes, Barrier& filled) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(&filled))
               : "memory");
}
// And to memory, of what copies brought. A thread waits until shared memory is read, at the latest at its end.
__device__ inline void copy_from_shared(void* to, const void* from, unsigned bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(shared_address(from)),
               "r"(bytes)
               : "memory");
}
__device__ inline void wait_for_copies_from_shared() {
  asm volatile("cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;" ::: "memory");
}

__device__ inline unsigned block_in_cluster() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// All threads of all its blocks; what they wrote to shared memory is seen.
__device__ inline void wait_for_cluster() {
  asm volatile("barrier.cluster.arrive; barrier.cluster.wait;" ::: "memory");
}
// Products of a warpgroup: of 64 x kTileDepth by kProductColumns x kTileDepth numbers, both from such tiles, whose rows
// begin at a multiple of eight. Thread t of it has of the result, in sums[4 j + 2 i + e], row
// t / 32 * 16 + t % 32 / 4 + 8 i, column 8 j + t % 4 * 2 + e.
inline constexpr int kProductRows = 64, kProductColumns = 192, kSums = kProductRows * kProductColumns / kWarpgroup;

// A tile as the product takes it: rows of 128 bytes, swizzled by eight rows.
__device__ inline uint64_t operand(const void* tile) {
  constexpr uint64_t kSwizzled128 = uint64_t{1} << 62, kEightRows = uint64_t{1024 / 16} << 32,
                     kNextColumns = uint64_t{1} << 16;  // not read where rows are swizzled
  return kSwizzled128 | kEightRows | kNextColumns | ((shared_address(tile) & 0x3ffff) >> 4);
}

__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kUnderWay>  // commits that may be unfinished still
__device__ inline void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kUnderWay) : "memory");
}
// Between the end of products and the first use of their sums.
__device__ inline void sums_are_there(float (&sums)[kSums]) {
#pragma unroll
  for (float& sum : sums) asm volatile("" : "+f"(sum)::"memory");
}

// sums += the product over columns `step` * 16 to + 15 of the tiles.
__device__ inline void multiply(float (&d)[kSums], uint64_t left, uint64_t right, int step) {
#define ACM_EIGHT(i)                                                                                          \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
      "+f"(d[i + 7])
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95}, "
      "%96, %97, 1, 1, 1, 0, 0;"
      : ACM_EIGHT(0), ACM_EIGHT(8), ACM_EIGHT(16), ACM_EIGHT(24), ACM_EIGHT(32), ACM_EIGHT(40), ACM_EIGHT(48),
        ACM_EIGHT(56), ACM_EIGHT(64), ACM_EIGHT(72), ACM_EIGHT(80), ACM_EIGHT(88)
      : "l"(left + static_cast<uint64_t>(step) * 2), "l"(right + static_cast<uint64_t>(step) * 2));
#undef ACM_EIGHT
}

// Registers of each thread of the warpgroup, from here on: more for those that hold sums, fewer for those that copy.
template <int kRegisters>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// Two numbers as bfloat16, the first in the lower half.
__device__ inline uint32_t bfloat16_pair(float first, float second) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}

// The block's shared memory beyond 48 KB, at a multiple of 1,024 bytes.
template <class Shared>
__device__ inline Shared& shared_memory() {
  extern __shared__ __align__(1024) unsigned char memory[];
  return *reinterpret_cast<Shared*>(memory);
}

// Whether the current GPU is one.
inline bool on_hopper() {
  int device = 0, major = 0, minor = 0;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess && major == 9 &&
         minor == 0;
}

inline constexpr int kMostShared = 227 * 1024;  // bytes of shared memory of a block

// Puts on the stream a kernel with so many bytes of shared memory, as the work before it ends (launch.h). Gives what
// CUDA says, or nullptr.
template <class... Parameters, class... Arguments>
const char* launch_with_shared(cudaLaunchConfig_t config, size_t shared, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  // The most for all launches: it belongs to the kernel, which other threads may launch too, with more or less.
  const cudaError_t code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMostShared);
  if (code != cudaSuccess) return cudaGetErrorString(code);
  config.dynamicSmemBytes = shared;
  return launch(config, Begin::kAsWorkBeforeEnds, kernel, arguments...);
}

// The same with clusters whose blocks stay, one on each multiprocessor.
template <class... Parameters, class... Arguments>
const char* launch_everywhere(void (*kernel)(Parameters...), unsigned threads, size_t shared, void* stream,
                              const Arguments&... arguments) {
  int device = 0, processors = 0;
  cudaError_t code = cudaGetDevice(&device);
  if (code == cudaSuccess) code = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (code != cudaSuccess) return cudaGetErrorString(code);
  const int blocks = processors / kCluster * kCluster;
  return launch_with_shared(blocks_for(blocks, 1, threads, stream), shared, kernel, arguments...);
}

}  // namespace acm::nn::hopper
