// What kernels for GPUs of compute capability 9.0 take of them, on the CPU: tiles are copied at once and lie in plain
// rows, and each thread of a warpgroup finds its own numbers of a product. A cluster is one block.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>
#include <cuda_runtime.h>

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>

#include "nn/cuda/launch.h"

namespace acm::nn::hopper {

inline constexpr int kCluster = 1, kWarpgroup = 128, kTileDepth = 64;

class Barrier {
 public:
  void init(unsigned arrivals) { awaited_ = arrivals, arrived_ = phase_ = 0, bytes_ = 0; }
  void arrive_at(unsigned) { arrive_announcing(0); }
  void arrive_announcing(unsigned bytes) { change(1, bytes); }
  void came(unsigned bytes) { change(0, -static_cast<int64_t>(bytes)); }
  void wait(unsigned phase) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return phase_ != phase; });
  }

 private:
  void change(unsigned arrivals, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    arrived_ += arrivals, bytes_ += bytes;
    if (arrived_ < awaited_ || bytes_ != 0) return;
    arrived_ = 0, phase_ ^= 1;
    changed_.notify_all();
  }
  inline static std::mutex mutex_;
  inline static std::condition_variable changed_;
  unsigned awaited_, arrived_, phase_;
  int64_t bytes_;
};
inline void publish_barriers() {}

struct Tiles {
  const c10::BFloat16* from;
  int64_t rows, columns;
  unsigned tile_rows;
};
inline const char* tiles_of(const void* from, int64_t rows, int64_t columns, unsigned tile_rows, Tiles* tiles) {
  if (columns % 8 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0 || tile_rows > 256) return "invalid argument";
  *tiles = {static_cast<const c10::BFloat16*>(from), rows, columns, tile_rows};
  return nullptr;
}
inline void copy_tile(const Tiles& tiles, int first_row, int first_column, void* to, Barrier& filled) {
  TORCH_CHECK(reinterpret_cast<uintptr_t>(to) % 1024 == 0, "a tile begins at a multiple of 1,024 bytes");
  auto* tile = static_cast<c10::BFloat16*>(to);
  for (int64_t row = first_row; row < first_row + tiles.tile_rows; ++row)
    for (int64_t column = first_column; column < first_column + kTileDepth; ++column)
      *tile++ =
          row < tiles.rows && column < tiles.columns ? tiles.from[row * tiles.columns + column] : c10::BFloat16(0);
  filled.came(tiles.tile_rows * kTileDepth * 2);
}

inline void copy_tile_to_all(const Tiles& tiles, int first_row, int first_column, void* to, Barrier& filled) {
  copy_tile(tiles, first_row, first_column, to, filled);
}

inline void copy_from_shared(void* to, const void* from, unsigned bytes) {
  TORCH_CHECK(
      reinterpret_cast<uintptr_t>(to) % 16 == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0 && bytes % 16 == 0,
      "bytes are copied by multiples of 16");
  std::memcpy(to, from, bytes);
}
inline void copy_to_shared(void* to, const void* from, unsigned bytes, Barrier& filled) {
  copy_from_shared(to, from, bytes);
  filled.came(bytes);
}
inline void wait_for_copies_from_shared() {}

inline unsigned block_in_cluster() { return 0; }
inline void wait_for_cluster() { __syncthreads(); }

inline constexpr int kProductRows = 64, kProductColumns = 192, kSums = kProductRows * kProductColumns / kWarpgroup;
inline const c10::BFloat16* operand(const void* tile) { return static_cast<const c10::BFloat16*>(tile); }
inline void begin_products() {}
inline void commit_products() {}
// All lanes of a warp come to it together, and only then may one of them free what the products read.
template <int>
void wait_for_products() {
  emulated::block->warps[threadIdx.x / emulated::kWarp].arrive_and_wait();
}
inline void sums_are_there(float (&)[kSums]) {}

inline void multiply(float (&sums)[kSums], const c10::BFloat16* left, const c10::BFloat16* right, int step) {
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
  for (int at = 0; at < kSums; ++at) {
    const int row = thread / 32 * 16 + thread % 32 / 4 + at / 2 % 2 * 8, column = at / 4 * 8 + thread % 4 * 2 + at % 2;
    for (int i = step * 16; i < step * 16 + 16; ++i)
      sums[at] += static_cast<float>(left[row * kTileDepth + i]) * static_cast<float>(right[column * kTileDepth + i]);
  }
}

template <int>
void take_registers() {}
template <int>
void give_registers() {}

inline uint32_t bfloat16_pair(float first, float second) {
  return c10::BFloat16(first).x | static_cast<uint32_t>(c10::BFloat16(second).x) << 16;
}

constexpr size_t kMostShared = 227 * 1024;
template <class Shared>
Shared& shared_memory() {
  alignas(1024) static unsigned char memory[kMostShared];
  return *reinterpret_cast<Shared*>(memory);
}

inline bool on_hopper() { return true; }

template <class... Parameters, class... Arguments>
const char* launch_with_shared(const cudaLaunchConfig_t& config, size_t shared, void (*kernel)(Parameters...),
                               const Arguments&... arguments) {
  if (shared > kMostShared) return "invalid argument";
  return launch(config, Begin::kAsWorkBeforeEnds, kernel, arguments...);
}

template <class... Parameters, class... Arguments>
const char* launch_everywhere(void (*kernel)(Parameters...), unsigned threads, size_t shared, void* stream,
                              const Arguments&... arguments) {
  constexpr int64_t kProcessors = 2;
  return launch_with_shared(blocks_for(kProcessors, 1, threads, stream), shared, kernel, arguments...);
}

}  // namespace acm::nn::hopper
