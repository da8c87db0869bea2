#pragma once

#include "nn/cuda/gelu.h"
#include "nn/cuda/hopper.h"
#include "nn/cuda/row_group.h"

namespace acm::nn::hopper {

// The product of a matrix and the transpose of another, both bfloat16, tile by tile of the result. Blocks stay (a
// persistent kernel) and go through the tiles. In each, a thread has tiles of both factors copied into stages of shared
// memory, which are used in turn, and two warpgroups multiply, each every other tile of the result (ping-pong): while
// one finishes its sums and writes them (the epilogue), the other keeps the tensor cores busy. The blocks of a cluster
// have rows below one another, and each copies its part of what they all multiply by. With 256 rows for both warpgroups
// together, which then finish at the same time, the first layer of learners took 1.2 to 1.4 times as long on an H200;
// with five stages, 1.00 to 1.08.
//
// A `Job`, a parameter of the kernel, says which tiles there are and what becomes of their sums; on the GPU it has:
//   Plan                                          what it keeps of its tiles in shared memory
//   Tile, a ProductTile, and Row                  what it must know of a tile and of one of its rows
//   void plan(Plan&)                              one thread, before all others read it
//   Tile tile_at(const Plan&, int index)          row < 0: there are no more
//   Row row_of(const Tile&, int row)
//   Eight added_to(const Tile&, int column)       bfloat16, for all rows
//   void write(const Tile&, const Row&, int column, const EightSums&, const Eight& added)

inline constexpr int kMultiplying = 2, kHalves = 2, kStages = 4;
inline constexpr int kRowsOfBlock = kHalves * kProductRows, kTileRows = kCluster * kRowsOfBlock;
inline constexpr int kColumns = kProductColumns, kColumnsToCopy = kColumns / kCluster;
inline constexpr int kLoopThreads = (1 + kMultiplying) * kWarpgroup, kStepsOfTile = kTileDepth / 16;
inline constexpr int kWarpsOfWarpgroup = kWarpgroup / kLanes;

// A tile of the result of a cluster: kTileRows x kColumns.
struct ProductTile {
  int row = -1;         // of the left matrix
  int left_column = 0;  // the first that is multiplied
  int right_row = 0;
  int tile_column = 0;  // of the result: of its columns of tiles
  int steps = 0;        // of kTileDepth numbers that are multiplied and added
};

// Eight numbers of a row side by side, 16 bytes.
struct Eight {
  uint32_t pairs[4];
};
struct EightSums {
  float2 pairs[4];
};
__device__ inline Eight eight_at(const uint16_t* numbers) {
  const uint4 all = *reinterpret_cast<const uint4*>(numbers);
  return {{all.x, all.y, all.z, all.w}};
}
__device__ inline void write_eight(const Eight& numbers, uint16_t* to) {
  *reinterpret_cast<uint4*>(to) = {numbers.pairs[0], numbers.pairs[1], numbers.pairs[2], numbers.pairs[3]};
}
__device__ inline float2 numbers_of(uint32_t pair) {
  return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000)};
}

// Eight numbers of a result from their sums and what is added to these.
template <bool kGelu>
__device__ Eight finished(const EightSums& sums, const Eight& added) {
  Eight result;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 more = numbers_of(added.pairs[i]);
    const float first = sums.pairs[i].x + more.x, second = sums.pairs[i].y + more.y;
    result.pairs[i] = kGelu ? bfloat16_pair(gelu_value(first), gelu_value(second)) : bfloat16_pair(first, second);
  }
  return result;
}

// In 32 bits: divisions of 64, as quotient_up() has them, are slower on a GPU.
__device__ inline int tiles_over(int numbers, int of_tile) { return (numbers + of_tile - 1) / of_tile; }

struct Stage {
  uint16_t left[kRowsOfBlock * kTileDepth], right[kColumns * kTileDepth];
};
template <class Plan>
struct LoopShared {
  Stage stages[kStages];
  Barrier filled[kStages], freed[kStages];
  Barrier done[kMultiplying];  // each opens when that warpgroup waits for no more stages of its tile
  Plan plan;
};

// The tile of this cluster in that round. Every other round goes backwards: so clusters get equally much to do where
// the largest tiles come first.
template <class Job>
__device__ typename Job::Tile tile_of(const Job& job, const typename Job::Plan& plan, int round) {
  const int clusters = static_cast<int>(gridDim.x) / kCluster, cluster = static_cast<int>(blockIdx.x) / kCluster;
  return job.tile_at(plan, round * clusters + (round % 2 == 0 ? cluster : clusters - 1 - cluster));
}

// Of the n-th step since the start: its stage, and of its barriers the phase.
__device__ inline int stage_of(unsigned step) { return static_cast<int>(step % kStages); }
__device__ inline unsigned phase_of(unsigned step) { return step / kStages % 2; }

__device__ inline int first_row_of_block(const ProductTile& tile) {
  return tile.row + static_cast<int>(block_in_cluster()) * kRowsOfBlock;
}

// One thread: has the tiles of both factors copied, step after step.
template <class Job, class Shared>
__device__ void copy_factors(const Job& job, const Tiles& left, const Tiles& right, Shared& shared) {
  const int first_column = static_cast<int>(block_in_cluster()) * kColumnsToCopy;
  unsigned now = 0;
  for (int round = 0;; ++round) {
    const ProductTile tile = tile_of(job, shared.plan, round);
    if (tile.row < 0) return;
    for (int step = 0; step < tile.steps; ++step, ++now) {
      Barrier& filled = shared.filled[stage_of(now)];
      Stage& stage = shared.stages[stage_of(now)];
      shared.freed[stage_of(now)].wait(phase_of(now) ^ 1);
      filled.arrive_announcing(sizeof(Stage));
      copy_tile(left, first_row_of_block(tile), tile.left_column + step * kTileDepth, stage.left, filled);
      copy_tile_to_all(right, tile.right_row + first_column, step * kTileDepth, stage.right + first_column * kTileDepth,
                       filled);
    }
  }
}

using LoopSums = float[kHalves][kSums];

// One warpgroup: the products of a stage.
__device__ inline void multiply_stage(const Stage& stage, LoopSums& sums) {
  begin_products();
  const auto right = operand(stage.right);
#pragma unroll
  for (int step = 0; step < kStepsOfTile; ++step)
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      multiply(sums[half], operand(stage.left + half * kProductRows * kTileDepth), right, step);
  commit_products();
}

// Those of a thread.
template <class Job>
using LoopRows = typename Job::Row[kHalves][2];

template <class Job>
__device__ void find_rows(const Job& job, const typename Job::Tile& tile, LoopRows<Job>& rows) {
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
  const int first = first_row_of_block(tile) + thread / kLanes * 16 + thread % kLanes / 4;
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (int i = 0; i < 2; ++i) rows[half][i] = job.row_of(tile, first + half * kProductRows + 8 * i);
}

// Of every kRowGroup columns of a tile a thread has eight side by side.
inline constexpr int kGroup = static_cast<int>(kRowGroup), kGroups = kColumns / kGroup;
__device__ inline int first_column(const ProductTile& tile, int group) {
  return tile.tile_column * kColumns + group * kGroup + static_cast<int>(threadIdx.x) % 4 * 8;
}

// One warpgroup: its tile. added: that of the first group; the next is read while one is at work.
template <class Job>
__device__ void write_tile(const Job& job, const typename Job::Tile& tile, const LoopRows<Job>& rows, Eight added,
                           const LoopSums& sums) {
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
    const int column = first_column(tile, group);
    const Eight next = group + 1 < kGroups ? job.added_to(tile, first_column(tile, group + 1)) : Eight{};
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        EightSums mine;
#pragma unroll
        for (int piece = 0; piece < 4; ++piece) {
          const int at = (group * 4 + piece) * 4 + i * 2;
          mine.pairs[piece] = {sums[half][at], sums[half][at + 1]};
        }
        job.write(tile, rows[half][i], column, mine, added);
      }
    added = next;
  }
}

// A warpgroup waits for its stages only when the other has come to the last of its own: one that waits for a phase that
// is not the next goes on at the end of an earlier one, since both have the same number.
template <class Shared>
__device__ void wait_for_other(const Shared& shared, int warpgroup, int round) {
  if (round > 0) shared.done[kMultiplying - 1 - warpgroup].wait((round - 1) / kMultiplying % 2);
}
template <class Shared>
__device__ void let_other(Shared& shared, int warpgroup) {
  __syncwarp();  // a thread that still waited for the other would miss a phase of it
  if (threadIdx.x % kLanes == 0) shared.done[warpgroup].arrive_at(block_in_cluster());
}

// A stage may be filled anew when each warp of each block that gets a part of it is done with its own.
template <class Shared>
__device__ void free_stage(Shared& shared, unsigned step) {
  if (threadIdx.x % kLanes < kCluster) shared.freed[stage_of(step)].arrive_at(threadIdx.x % kLanes);
}

// One warpgroup: every other tile.
template <class Job, class Shared>
__device__ void multiply_tiles(const Job& job, int warpgroup, Shared& shared) {
  unsigned now = 0;
  for (int round = 0;; ++round) {
    const typename Job::Tile tile = tile_of(job, shared.plan, round);
    if (tile.row < 0) return;
    if (round % kMultiplying != warpgroup) {
      now += static_cast<unsigned>(tile.steps);
      continue;
    }
    LoopRows<Job> rows;
    find_rows(job, tile, rows);
    LoopSums sums;
#pragma unroll
    for (auto& half : sums)
#pragma unroll
      for (float& sum : half) sum = 0;
    wait_for_other(shared, warpgroup, round);
    for (int step = 0; step < tile.steps; ++step, ++now) {
      shared.filled[stage_of(now)].wait(phase_of(now));
      multiply_stage(shared.stages[stage_of(now)], sums);
      wait_for_products<1>();
      if (step > 0) free_stage(shared, now - 1);
    }
    let_other(shared, warpgroup);
    const Eight added = job.added_to(tile, first_column(tile, 0));  // while the last products are under way
    wait_for_products<0>();
#pragma unroll
    for (auto& half : sums) sums_are_there(half);
    if (tile.steps > 0) free_stage(shared, now - 1);
    write_tile(job, tile, rows, added, sums);
  }
}

template <class Job>
__global__ void __launch_bounds__(kLoopThreads, 1) __cluster_dims__(kCluster)
    product_loop(const Job job, const __grid_constant__ Tiles left, const __grid_constant__ Tiles right) {
  auto& shared = shared_memory<LoopShared<typename Job::Plan>>();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      shared.filled[stage].init(1);
      shared.freed[stage].init(kCluster * kWarpsOfWarpgroup);
    }
    for (Barrier& done : shared.done) done.init(kWarpsOfWarpgroup);
    publish_barriers();
  }
  wait_for_work_before();
  if (threadIdx.x == 0) job.plan(shared.plan);
  wait_for_cluster();
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup;
  if (warpgroup == kMultiplying) {
    give_registers<24>();
    if (threadIdx.x % kWarpgroup == 0) copy_factors(job, left, right, shared);
  } else {
    take_registers<240>();
    multiply_tiles(job, warpgroup, shared);
  }
  wait_for_cluster();  // none ends while another may still fill or free its stages
}

// A matrix without gaps on the GPU; columns a multiple of eight.
struct Matrix {
  const void* at;
  int64_t rows, columns;
};

// Puts the product on the stream. Gives what CUDA says, or nullptr.
template <class Job>
const char* multiply_on_gpu(const Job& job, const Matrix& left, const Matrix& right, void* stream) {
  Tiles left_tiles, right_tiles;
  const char* failure = tiles_of(left.at, left.rows, left.columns, kRowsOfBlock, &left_tiles);
  if (!failure) failure = tiles_of(right.at, right.rows, right.columns, kColumnsToCopy, &right_tiles);
  if (failure) return failure;
  return launch_everywhere(product_loop<Job>, kLoopThreads, sizeof(LoopShared<typename Job::Plan>), stream, job,
                           left_tiles, right_tiles);
}

}  // namespace acm::nn::hopper
