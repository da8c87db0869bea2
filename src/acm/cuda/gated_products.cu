#include "acm/cuda/gated_products.h"

#include "acm/cuda/token_rows.h"
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
constexpr unsigned kAllLanes = 0xffffffff;

struct Stage {
  uint16_t left[kRowsOfBlock * kTileDepth], right[kColumns * kTileDepth];
};
struct Shared {
  Stage stages[kStages];
  uint16_t bias[kMultiplying][kColumns];  // of the first layer, for the tile on which a warpgroup is
  Barrier filled[kStages], freed[kStages];
  Barrier done[kMultiplying];           // each opens when that warpgroup waits for no more stages of its tile
  int rows_of_tiles[kMostOrdered + 2];  // how many have tokens that run 0, 1, ... or more learners
};
// A tile of the result of a cluster, and the most learners that one of its tokens runs. row < 0: there are no more.
struct Tile {
  int row, column, count;
};

__device__ int tiles_over(int numbers, int of_tile) { return (numbers + of_tile - 1) / of_tile; }

// What both layers take.
struct Pass {
  int rows, learners, learner_width;
  int inner, outer;  // numbers that are added; columns of the result
  const int64_t *choice, *order, *sizes;
  const uint16_t* bias;
  uint16_t* result;
};

// One thread, before all others read it.
__device__ void count_rows_of_tiles(const Pass& pass, int* rows_of_tiles) {
  rows_of_tiles[pass.learners + 1] = 0;
  int tokens = 0;
  for (int count = pass.learners; count > 0; --count) {
    tokens += static_cast<int>(pass.sizes[count]);
    rows_of_tiles[count] = tiles_over(tokens, kRows);
  }
  rows_of_tiles[0] = tiles_over(pass.rows, kRows);
}

// The tile of this cluster in that round. Its tiles follow the rows, longer ones first, and every other round goes
// backwards: so clusters get equally much to do.
template <bool kFirst>
__device__ Tile tile_of(const Pass& pass, const int* rows_of_tiles, int round) {
  const int clusters = static_cast<int>(gridDim.x) / kCluster, cluster = static_cast<int>(blockIdx.x) / kCluster;
  int index = round * clusters + (round % 2 == 0 ? cluster : clusters - 1 - cluster);
  for (int count = pass.learners; count >= (kFirst ? 1 : 0); --count) {
    const int columns = tiles_over(kFirst ? count * pass.learner_width : pass.outer, kColumns);
    const int first = rows_of_tiles[count + 1], tiles = (rows_of_tiles[count] - first) * columns;
    if (index < tiles) return {first + index / columns, index % columns, count};
    index -= tiles;
  }
  return {-1, 0, 0};
}

template <bool kFirst>
__device__ int steps_of(const Pass& pass, const Tile& tile) {
  return tiles_over(kFirst ? pass.inner : tile.count * pass.learner_width, kTileDepth);
}

// Of the n-th step since the start: its stage, and of its barriers the phase.
__device__ int stage_of(unsigned step) { return static_cast<int>(step % kStages); }
__device__ unsigned phase_of(unsigned step) { return step / kStages % 2; }

__device__ int first_row_of_block(const Tile& tile) {
  return tile.row * kRows + static_cast<int>(block_in_cluster()) * kRowsOfBlock;
}

// One thread: has the tiles of both factors copied, step after step.
template <bool kFirst>
__device__ void copy_factors(const Pass& pass, const Tiles& left, const Tiles& right, Shared& shared) {
  const int first_column = static_cast<int>(block_in_cluster()) * kColumnsToCopy;
  unsigned now = 0;
  for (int round = 0;; ++round) {
    const Tile tile = tile_of<kFirst>(pass, shared.rows_of_tiles, round);
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

// What a thread knows of one of its four rows: where it writes to the tile's row, nullptr: nowhere; how many learners
// the token runs, -1: an impossible number.
struct Row {
  uint16_t* to;
  int count;
};
using Rows = Row[kHalves][2];

template <bool kFirst>
__device__ Row row_at(const Pass& pass, const Tile& tile, int row) {
  if (row >= pass.rows) return {nullptr, 0};
  const int64_t token = pass.order[row], count = pass.choice[token];
  return {pass.result + (kFirst ? row : token) * pass.outer + tile.column * kColumns,
          count >= 0 && count <= pass.learners ? static_cast<int>(count) : -1};
}

// One warpgroup: what it needs to know at the end of a tile, while the other's products are under way.
template <bool kFirst>
__device__ void read_ahead(const Pass& pass, const Tile& tile, int warpgroup, Rows& rows, uint16_t* bias) {
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
  const int first_row = first_row_of_block(tile) + thread / kLanes * 16 + thread % kLanes / 4;
#pragma unroll
  for (int half = 0; half < kHalves; ++half)
#pragma unroll
    for (int i = 0; i < 2; ++i) rows[half][i] = row_at<kFirst>(pass, tile, first_row + half * kProductRows + 8 * i);
  if constexpr (kFirst) {
    wait_for_warpgroup(warpgroup);  // all are done with the last tile's
    for (int i = thread; i < kColumns; i += kWarpgroup) {
      const int column = tile.column * kColumns + i;
      bias[i] = column < pass.outer ? pass.bias[column] : 0;
    }
    wait_for_warpgroup(warpgroup);
  }
}

__device__ float2 numbers_of(uint32_t pair) {
  return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000)};
}
__device__ uint32_t pair_at(const uint16_t* numbers, int64_t first) {
  return *reinterpret_cast<const uint32_t*>(numbers + first);
}

// Of four neighbours, each with four words: word i of the n-th becomes word n of the i-th.
__device__ void exchange(uint32_t (&words)[4]) {
  const unsigned lane = threadIdx.x % 4;
#pragma unroll
  for (int distance = 2; distance > 0; distance /= 2) {
    const bool upper = (lane & distance) != 0;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int low = distance == 2 ? i : 2 * i, high = low + distance;
      const uint32_t other = __shfl_xor_sync(kAllLanes, upper ? words[low] : words[high], distance);
      (upper ? words[low] : words[high]) = other;
    }
  }
}

// Two numbers of the result as they are written: the sums and what is added to them. units: how many the token has from
// the first of them on, an even number.
template <bool kFirst, bool kGelu>
__device__ uint32_t finished(float2 sum, uint32_t added, const Row& row, int units) {
  const float2 more = numbers_of(added);
  const float first = sum.x + more.x, second = sum.y + more.y;
  if constexpr (!kFirst) return row.count < 0 ? 0x7fc07fc0 : bfloat16_pair(first, second);  // NaN, twice
  const uint32_t pair =
      kGelu ? bfloat16_pair(nn::gelu_value(first), nn::gelu_value(second)) : bfloat16_pair(first, second);
  return units > 0 ? pair : 0;
}

// One warpgroup: its tile. Threads exchange what they have, so that each writes 16 bytes. bias [kColumns]: of the tile.
template <bool kFirst, bool kGelu>
__device__ void write_tile(const Pass& pass, const Tile& tile, const Rows& rows, const uint16_t* bias,
                           const Sums& sums) {
  constexpr int kPieces = 4, kPieceColumns = 8;  // of 8 columns, which a thread has two of each
  const int lane = static_cast<int>(threadIdx.x) % 4, tile_column = tile.column * kColumns;
#pragma unroll
  for (int group = 0; group < kColumns / (kPieces * kPieceColumns); ++group) {
    const int first = group * kPieces * kPieceColumns;
    uint32_t added[kPieces] = {};
#pragma unroll
    for (int piece = 0; kFirst && piece < kPieces; ++piece)
      added[piece] = pair_at(bias, first + piece * kPieceColumns + lane * 2);
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const Row& row = rows[half][i];
        const int units = row.count * pass.learner_width - tile_column - lane * 2;
        uint32_t words[kPieces];
#pragma unroll
        for (int piece = 0; piece < kPieces; ++piece) {
          const int at = (group * kPieces + piece) * 4 + i * 2, column = first + piece * kPieceColumns;
          if (!kFirst && pass.bias)
            added[piece] = row.count > 0 && tile_column + column < pass.outer
                               ? pair_at(pass.bias, static_cast<int64_t>(row.count - 1) * pass.outer + tile_column +
                                                        column + lane * 2)
                               : 0;
          words[piece] =
              finished<kFirst, kGelu>({sums[half][at], sums[half][at + 1]}, added[piece], row, units - column);
        }
        exchange(words);
        const int column = first + lane * kPieceColumns;
        if (row.to != nullptr && tile_column + column < pass.outer)
          *reinterpret_cast<uint4*>(row.to + column) = {words[0], words[1], words[2], words[3]};
      }
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
    const Tile tile = tile_of<kFirst>(pass, shared.rows_of_tiles, round);
    if (tile.row < 0) return;
    const int steps = steps_of<kFirst>(pass, tile);
    if (round % kMultiplying != warpgroup) {
      now += static_cast<unsigned>(steps);
      continue;
    }
    Rows rows;
    read_ahead<kFirst>(pass, tile, warpgroup, rows, shared.bias[warpgroup]);
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
    wait_for_products<0>();
#pragma unroll
    for (auto& half : sums) sums_are_there(half);
    if (steps > 0) free_stage(shared, now - 1);
    write_tile<kFirst, kGelu>(pass, tile, rows, shared.bias[warpgroup], sums);
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
    count_rows_of_tiles(pass, shared.rows_of_tiles);
  }
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

Pass pass_of(const TokensInOrder& of, int64_t inner, int64_t outer, const void* bias, void* result) {
  return {.rows = static_cast<int>(of.rows),
          .learners = static_cast<int>(of.learners),
          .learner_width = static_cast<int>(of.learner_width),
          .inner = static_cast<int>(inner),
          .outer = static_cast<int>(outer),
          .choice = of.choice,
          .order = of.order,
          .sizes = of.sizes,
          .bias = static_cast<const uint16_t*>(bias),
          .result = static_cast<uint16_t*>(result)};
}

template <bool kFirst, bool kGelu>
const char* run(const Pass& pass, const void* left, const void* right, void* stream) {
  Tiles left_tiles, right_tiles;
  const char* failure = tiles_of(left, pass.rows, pass.inner, kRowsOfBlock, &left_tiles);
  if (!failure) failure = tiles_of(right, pass.outer, pass.inner, kColumnsToCopy, &right_tiles);
  if (failure) return failure;
  return launch_everywhere(multiply_gated<kFirst, kGelu>, kThreads, sizeof(Shared), stream, pass, left_tiles,
                           right_tiles);
}

}  // namespace

bool has_gated_products(int64_t width, int64_t hidden, int64_t learner_width) {
  return width % 8 == 0 && hidden % 8 == 0 && learner_width % 2 == 0 && on_hopper();
}

const char* first_layer_on_gpu(const TokensInOrder& of, const FirstLayer& layer, int64_t width, void* stream) {
  const Pass pass = pass_of(of, width, of.hidden(), layer.b1, layer.hidden);
  return (layer.gelu ? run<true, true> : run<true, false>)(pass, layer.tokens, layer.w1, stream);
}

const char* second_layer_on_gpu(const TokensInOrder& of, const SecondLayer& layer, int64_t width, void* stream) {
  return run<false, false>(pass_of(of, of.hidden(), width, layer.bias_sums, layer.output), layer.hidden, layer.w2,
                           stream);
}

}  // namespace acm
