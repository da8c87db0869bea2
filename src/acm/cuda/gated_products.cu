#include "acm/cuda/gated_products.h"

#include "acm/cuda/token_tiles.h"
#include "nn/cuda/gelu.h"
#include "nn/cuda/hopper.h"

namespace acm {
namespace {

using namespace nn::hopper;

// Blocks stay (a persistent kernel) and go through tiles of the result. In each, a thread has tiles of both factors
// copied into stages of shared memory, which are used in turn, and two warpgroups multiply, each every other tile of
// the result (ping-pong): while one finishes its sums and writes them (the epilogue), the other keeps the tensor cores
// busy. The blocks of a cluster have rows below one another, and each copies its part of what they all multiply by.
// With 256 rows for both warpgroups together, which then finish at the same time, the first layer took 1.2 to 1.4 times
// as long on an H200; with five stages, 1.00 to 1.08.
constexpr int kMultiplying = 2, kHalves = 2, kStages = 4;
constexpr int kRowsOfBlock = kHalves * kProductRows, kRows = kCluster * kRowsOfBlock;
constexpr int kColumns = kProductColumns, kColumnsToCopy = kColumns / kCluster;
constexpr int kThreads = (1 + kMultiplying) * kWarpgroup, kStepsOfTile = kTileDepth / 16;
constexpr int kLanes = 32, kWarpsOfWarpgroup = kWarpgroup / kLanes;

struct Stage {
  uint16_t left[kRowsOfBlock * kTileDepth], right[kColumns * kTileDepth];
};
// Of each count, how many tiles of the result there are for it and the counts above it.
struct Schedule {
  int tiles[kMostOrdered + 2];
};
struct Shared {
  Stage stages[kStages];
  Barrier filled[kStages], freed[kStages];
  Barrier done[kMultiplying];  // each opens when that warpgroup waits for no more stages of its tile
  Schedule schedule;
};
// A tile of the result of a cluster: its first row, how many tokens there are from there on, and how many learners they
// run. row < 0: there are no more.
struct Tile {
  int row, tokens, column, count;
};

// In 32 bits: divisions of 64, as quotient_up() has them, are slower on a GPU.
__device__ int tiles_over(int numbers, int of_tile) { return (numbers + of_tile - 1) / of_tile; }

// What both layers take.
struct Pass {
  int learners, learner_width;
  int most_tiles;  // of one count
  const int32_t *numbers, *places;
  int inner = 0, outer = 0;  // numbers that are added; columns of the result
  const uint16_t* bias = nullptr;
  uint16_t* result = nullptr;
};

// Tiles beside one another.
template <bool kFirst>
__device__ int tiles_across(const Pass& pass, int count) {
  return tiles_over(kFirst ? count * pass.learner_width : pass.outer, kColumns);
}

constexpr int kTokens = static_cast<int>(kTileTokens), kTilesOfTokens = kTokens / kRows;
static_assert(kTokens % kRows == 0);

// One thread, before all others read it.
template <bool kFirst>
__device__ void make_schedule(const Pass& pass, Schedule& schedule) {
  int tiles = schedule.tiles[pass.learners + 1] = 0;
  for (int count = pass.learners; count > 0; --count)
    schedule.tiles[count] = tiles +=
        tiles_over(pass.numbers[count], kTokens) * kTilesOfTokens * tiles_across<kFirst>(pass, count);
}

// The tile of this cluster in that round. Those of most learners come first, and every other round goes backwards: so
// clusters get equally much to do.
template <bool kFirst>
__device__ Tile tile_of(const Pass& pass, const Schedule& schedule, int round) {
  const int clusters = static_cast<int>(gridDim.x) / kCluster, cluster = static_cast<int>(blockIdx.x) / kCluster;
  const int index = round * clusters + (round % 2 == 0 ? cluster : clusters - 1 - cluster);
  for (int count = pass.learners; count > 0; --count) {
    if (index >= schedule.tiles[count]) continue;
    const int of_count = index - schedule.tiles[count + 1], across = tiles_across<kFirst>(pass, count);
    const int number = of_count / across / kTilesOfTokens, part = of_count / across % kTilesOfTokens;
    const int place = pass.numbers[tiles_of_count(count, pass.learners, pass.most_tiles) + number] - 1;
    return {.row = place * kTokens + part * kRows,
            .tokens = pass.numbers[count] - number * kTokens - part * kRows,
            .column = of_count % across,
            .count = count};
  }
  return {-1, 0, 0, 0};
}

template <bool kFirst>
__device__ int steps_of(const Pass& pass, const Tile& tile) {
  return tiles_over(kFirst ? pass.inner : tile.count * pass.learner_width, kTileDepth);
}

// Of the n-th step since the start: its stage, and of its barriers the phase.
__device__ int stage_of(unsigned step) { return static_cast<int>(step % kStages); }
__device__ unsigned phase_of(unsigned step) { return step / kStages % 2; }

__device__ int first_row_of_block(const Tile& tile) {
  return tile.row + static_cast<int>(block_in_cluster()) * kRowsOfBlock;
}

// One thread: has the tiles of both factors copied, step after step.
template <bool kFirst>
__device__ void copy_factors(const Pass& pass, const Tiles& left, const Tiles& right, Shared& shared) {
  const int first_column = static_cast<int>(block_in_cluster()) * kColumnsToCopy;
  unsigned now = 0;
  for (int round = 0;; ++round) {
    const Tile tile = tile_of<kFirst>(pass, shared.schedule, round);
    if (tile.row < 0) return;
    const int steps = steps_of<kFirst>(pass, tile);
    for (int step = 0; step < steps; ++step, ++now) {
      Barrier& filled = shared.filled[stage_of(now)];
      Stage& stage = shared.stages[stage_of(now)];
      shared.freed[stage_of(now)].wait(phase_of(now) ^ 1);
      filled.arrive_announcing(sizeof(Stage));
      copy_tile(left, first_row_of_block(tile), step * kTileDepth, stage.left, filled);
      copy_tile_to_all(right, tile.column * kColumns + first_column, step * kTileDepth,
                       stage.right + first_column * kTileDepth, filled);
    }
  }
}

using Sums = float[kHalves][kSums];

// One warpgroup: the products of a stage.
__device__ void multiply_stage(const Stage& stage, Sums& sums) {
  begin_products();
  const auto right = operand(stage.right);
#pragma unroll
  for (int step = 0; step < kStepsOfTile; ++step)
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      multiply(sums[half], operand(stage.left + half * kProductRows * kTileDepth), right, step);
  commit_products();
}

// Where a thread's rows of a tile go: rows of the result; negative: nowhere.
using Rows = int[kHalves][2];

template <bool kFirst>
__device__ void find_rows(const Pass& pass, const Tile& tile, Rows& rows) {
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
  const int first = first_row_of_block(tile) + thread / kLanes * 16 + thread % kLanes / 4;
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = first + half * kProductRows + 8 * i;
      rows[half][i] = kFirst ? row : row < tile.row + tile.tokens ? pass.places[row] : -1;
    }
}

__device__ float2 numbers_of(uint32_t pair) {
  return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000)};
}
// Eight numbers, 16 bytes.
struct Eight {
  uint32_t pairs[4];
};
__device__ Eight eight_at(const uint16_t* numbers) {
  const uint4 all = *reinterpret_cast<const uint4*>(numbers);
  return {{all.x, all.y, all.z, all.w}};
}
__device__ void write_eight(const Eight& numbers, uint16_t* to) {
  *reinterpret_cast<uint4*>(to) = {numbers.pairs[0], numbers.pairs[1], numbers.pairs[2], numbers.pairs[3]};
}

// Two numbers of the result as they are written, from their sums and what is added to these.
template <bool kGelu>
__device__ uint32_t finished(float first_sum, float second_sum, uint32_t added) {
  const float2 more = numbers_of(added);
  const float first = first_sum + more.x, second = second_sum + more.y;
  return kGelu ? bfloat16_pair(nn::gelu_value(first), nn::gelu_value(second)) : bfloat16_pair(first, second);
}

// Of every kRowGroup columns of a tile a thread has eight side by side.
constexpr int kGroup = static_cast<int>(kRowGroup), kGroups = kColumns / kGroup;
__device__ int first_column(const Tile& tile, int group) {
  return tile.column * kColumns + group * kGroup + static_cast<int>(threadIdx.x) % 4 * 8;
}

// What a thread adds to its sums of a group.
template <bool kFirst>
__device__ Eight added_to(const Pass& pass, const Tile& tile, int group) {
  const int column = first_column(tile, group);
  if (!pass.bias || column >= pass.outer) return {};
  return eight_at(pass.bias + (kFirst ? 0 : static_cast<int64_t>(tile.count - 1) * pass.outer) + column);
}

// One warpgroup: its tile. added: that of the first group; the next is read while one is at work.
template <bool kFirst, bool kGelu>
__device__ void write_tile(const Pass& pass, const Tile& tile, const Rows& rows, Eight added, const Sums& sums) {
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
    const int column = first_column(tile, group);
    const Eight next = group + 1 < kGroups ? added_to<kFirst>(pass, tile, group + 1) : Eight{};
    const bool runs = !kFirst || column < tile.count * pass.learner_width;  // else zeros: the second layer reads them
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        Eight result{};
#pragma unroll
        for (int piece = 0; piece < 4; ++piece) {
          const int at = (group * 4 + piece) * 4 + i * 2;
          if (runs) result.pairs[piece] = finished<kGelu>(sums[half][at], sums[half][at + 1], added.pairs[piece]);
        }
        const int row = rows[half][i];
        if (row >= 0 && column < pass.outer)
          write_eight(result, pass.result + static_cast<int64_t>(row) * pass.outer + column);
      }
    added = next;
  }
}

// A warpgroup waits for its stages only when the other has come to the last of its own: one that waits for a phase that
// is not the next goes on at the end of an earlier one, since both have the same number.
__device__ void wait_for_other(const Shared& shared, int warpgroup, int round) {
  if (round > 0) shared.done[kMultiplying - 1 - warpgroup].wait((round - 1) / kMultiplying % 2);
}
__device__ void let_other(Shared& shared, int warpgroup) {
  __syncwarp();  // a thread that still waited for the other would miss a phase of it
  if (threadIdx.x % kLanes == 0) shared.done[warpgroup].arrive_at(block_in_cluster());
}

// A stage may be filled anew when each warp of each block that gets a part of it is done with its own.
__device__ void free_stage(Shared& shared, unsigned step) {
  if (threadIdx.x % kLanes < kCluster) shared.freed[stage_of(step)].arrive_at(threadIdx.x % kLanes);
}

// One warpgroup: every other tile.
template <bool kFirst, bool kGelu>
__device__ void multiply_tiles(const Pass& pass, int warpgroup, Shared& shared) {
  unsigned now = 0;
  for (int round = 0;; ++round) {
    const Tile tile = tile_of<kFirst>(pass, shared.schedule, round);
    if (tile.row < 0) return;
    const int steps = steps_of<kFirst>(pass, tile);
    if (round % kMultiplying != warpgroup) {
      now += static_cast<unsigned>(steps);
      continue;
    }
    Rows rows;
    find_rows<kFirst>(pass, tile, rows);
    Sums sums;
#pragma unroll
    for (auto& half : sums)
#pragma unroll
      for (float& sum : half) sum = 0;
    wait_for_other(shared, warpgroup, round);
    for (int step = 0; step < steps; ++step, ++now) {
      shared.filled[stage_of(now)].wait(phase_of(now));
      multiply_stage(shared.stages[stage_of(now)], sums);
      wait_for_products<1>();
      if (step > 0) free_stage(shared, now - 1);
    }
    let_other(shared, warpgroup);
    const Eight added = added_to<kFirst>(pass, tile, 0);  // while the last products are under way
    wait_for_products<0>();
#pragma unroll
    for (auto& half : sums) sums_are_there(half);
    if (steps > 0) free_stage(shared, now - 1);
    write_tile<kFirst, kGelu>(pass, tile, rows, added, sums);
  }
}

template <bool kFirst, bool kGelu>
__global__ void __launch_bounds__(kThreads, 1) __cluster_dims__(kCluster)
    multiply_gated(const Pass pass, const __grid_constant__ Tiles left, const __grid_constant__ Tiles right) {
  auto& shared = shared_memory<Shared>();
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      shared.filled[stage].init(1);
      shared.freed[stage].init(kCluster * kWarpsOfWarpgroup);
    }
    for (Barrier& done : shared.done) done.init(kWarpsOfWarpgroup);
    publish_barriers();
  }
  nn::wait_for_work_before();
  if (threadIdx.x == 0) make_schedule<kFirst>(pass, shared.schedule);
  wait_for_cluster();
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup;
  if (warpgroup == kMultiplying) {
    give_registers<24>();
    if (threadIdx.x % kWarpgroup == 0) copy_factors<kFirst>(pass, left, right, shared);
  } else {
    take_registers<240>();
    multiply_tiles<kFirst, kGelu>(pass, warpgroup, shared);
  }
  wait_for_cluster();  // none ends while another may still fill or free its stages
}

Pass pass_of(const TokenTiles& of, const LearnerShape& shape) {
  return {.learners = static_cast<int>(shape.learners),
          .learner_width = static_cast<int>(shape.learner_width),
          .most_tiles = static_cast<int>(most_tiles(of.tokens)),
          .numbers = of.numbers,
          .places = of.places};
}

template <bool kFirst, bool kGelu>
const char* run(const Pass& pass, const void* left, int64_t rows, const void* right, void* stream) {
  Tiles left_tiles, right_tiles;
  const char* failure = tiles_of(left, rows, pass.inner, kRowsOfBlock, &left_tiles);
  if (!failure) failure = tiles_of(right, pass.outer, pass.inner, kColumnsToCopy, &right_tiles);
  if (failure) return failure;
  return launch_everywhere(multiply_gated<kFirst, kGelu>, kThreads, sizeof(Shared), stream, pass, left_tiles,
                           right_tiles);
}

}  // namespace

bool has_gated_products(const LearnerShape& shape) {
  return shape.width % kRowGroup == 0 && shape.hidden() % kRowGroup == 0 && shape.learner_width % 8 == 0 &&
         shape.width <= kMostTokenWidth && shape.learners <= kMostOrdered && on_hopper();
}

const char* first_layer_on_gpu(const TokenTiles& of, const FirstLayer& layer, const LearnerShape& shape, void* stream) {
  Pass pass = pass_of(of, shape);
  pass.inner = static_cast<int>(shape.width);
  pass.outer = static_cast<int>(shape.hidden());
  pass.bias = static_cast<const uint16_t*>(layer.b1);
  pass.result = static_cast<uint16_t*>(layer.hidden);
  return (layer.gelu ? run<true, true> : run<true, false>)(pass, of.rows, tiled_rows(of.tokens, of.learners), layer.w1,
                                                           stream);
}

const char* second_layer_on_gpu(const TokenTiles& of, const SecondLayer& layer, const LearnerShape& shape,
                                void* stream) {
  Pass pass = pass_of(of, shape);
  pass.inner = static_cast<int>(shape.hidden());
  pass.outer = static_cast<int>(shape.width);
  pass.bias = static_cast<const uint16_t*>(layer.bias_sums);
  pass.result = static_cast<uint16_t*>(layer.output);
  return run<false, false>(pass, layer.hidden, tiled_rows(of.tokens, of.learners), layer.w2, stream);
}

}  // namespace acm
