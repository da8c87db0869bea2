#pragma once

#include <type_traits>

#include "acm/cuda/token_gates.h"
#include "nn/cuda/gelu.h"
#include "nn/cuda/hopper.h"
#include "nn/cuda/warp_product.h"

namespace acm::in_block {

using namespace nn::hopper;
using nn::kAllLanes;
using nn::kLanes;

// A block has 16 tokens, which come into shared memory at once and may leave it from there. Its warps share the numbers
// of a token for the first layer of a gate, and then its threads the units and logits. With 32 tokens or half as many
// warps all took 1.03 to 1.1 times as long on an H100.
inline constexpr int kTokens = 16, kWarps = 8, kThreads = kWarps * kLanes;
inline constexpr int kChunk = 8, kStep = 4 * kChunk;  // numbers that a lane reads at once; of a token, by four lanes
inline constexpr int kStepOfBlock = kWarps * kStep;   // numbers of a token that all warps read at once
inline constexpr int kTileUnits = 8;                  // units of a product
inline constexpr int kOfToken = kThreads / kTokens;   // threads

template <int kUnits>
struct Units {
  float of_warp[kWarps][kTokens][kUnits], values[kTokens][kUnits];  // sums over a warp's part of the tokens; values
};
template <>
struct Units<0> {};
template <int kUnitTiles>
struct Block {
  Barrier filled;
  Units<kUnitTiles * kTileUnits> units;
  alignas(128) uint16_t tokens[1];  // [kTokens, width]
};
inline constexpr int64_t kTokenBytes = kTokens * 2;  // of shared memory behind it, for each number of a token

__device__ inline int64_t first_token() { return static_cast<int64_t>(blockIdx.x) * kTokens; }

// All threads, before they read memory: they wait for the work before (launch.h). tokens [rows, width]: the block's
// begin to come, and may be read when shared.filled opens.
template <class Block>
__device__ void bring_tokens(const uint16_t* tokens, int64_t rows, int width, Block& shared) {
  if (threadIdx.x == 0) {
    shared.filled.init(1);
    publish_barriers();
  }
  __syncthreads();
  nn::wait_for_work_before();
  if (threadIdx.x != 0) return;
  const int64_t left = rows - first_token();
  const unsigned bytes = static_cast<unsigned>(left < kTokens ? left : kTokens) * width * 2;
  shared.filled.arrive_announcing(bytes);
  copy_to_shared(shared.tokens, tokens + first_token() * width, bytes, shared.filled);
}

__device__ inline uint4 chunk_at(const uint16_t* numbers) { return *reinterpret_cast<const uint4*>(numbers); }

// A lane's weights of a step.
template <int kUnitTiles>
struct StepWeights {
  uint4 of_tile[kUnitTiles];
};
template <int kUnitTiles>
__device__ StepWeights<kUnitTiles> weights_at(const uint16_t* unit, int width) {
  StepWeights<kUnitTiles> weights;
#pragma unroll
  for (int tile = 0; tile < kUnitTiles; ++tile)
    weights.of_tile[tile] = chunk_at(unit + static_cast<int64_t>(tile * kTileUnits) * width);
  return weights;
}

template <int kUnitTiles>
__device__ void multiply_step(const uint16_t* tokens, int width, const StepWeights<kUnitTiles>& weights,
                              float (&sums)[kUnitTiles][4]) {
  const uint4 low = chunk_at(tokens), high = chunk_at(tokens + 8 * width);
#pragma unroll
  for (int tile = 0; tile < kUnitTiles; ++tile) {
    const uint4& of = weights.of_tile[tile];
    nn::multiply_in_warp(sums[tile], {low.x, high.x, low.y, high.y}, {of.x, of.y});
    nn::multiply_in_warp(sums[tile], {low.z, high.z, low.w, high.w}, {of.z, of.w});
  }
}

// The first layer before bias and activation, over every kWarps-th step of the tokens. A lane reads eight numbers in a
// row; that the product takes them for others does not matter to its sums, since they are the same of tokens and
// weights. The weights of the first steps are on their way while the tokens come: on an H100 to put 25,216 tokens of
// 768 numbers in tiles by a gate of 19 units then took 37 us in the place of 41.5.
template <int kUnitTiles>
__device__ void multiply_units(const GateOfTokens& gate, int width, Block<kUnitTiles>& shared) {
  constexpr int kAhead = 3;
  const int lane = static_cast<int>(threadIdx.x) % kLanes, warp = static_cast<int>(threadIdx.x) / kLanes,
            row = lane / 4, begin = warp * kStep + lane % 4 * kChunk;
  const uint16_t *tokens = shared.tokens + row * width,
                 *unit = static_cast<const uint16_t*>(gate.w1) + static_cast<int64_t>(row) * width;
  float sums[kUnitTiles][4] = {};
  StepWeights<kUnitTiles> ahead[kAhead];
#pragma unroll
  for (int i = 0; i < kAhead; ++i)
    if (const int at = begin + i * kStepOfBlock; at < width) ahead[i] = weights_at<kUnitTiles>(unit + at, width);
  shared.filled.wait(0);
#pragma unroll
  for (int i = 0; i < kAhead; ++i)
    if (const int at = begin + i * kStepOfBlock; at < width) multiply_step(tokens + at, width, ahead[i], sums);
#pragma unroll 1
  for (int at = begin + kAhead * kStepOfBlock; at < width; at += kStepOfBlock)
    multiply_step(tokens + at, width, weights_at<kUnitTiles>(unit + at, width), sums);
#pragma unroll
  for (int tile = 0; tile < kUnitTiles; ++tile)
#pragma unroll
    for (int at = 0; at < 4; ++at)
      shared.units.of_warp[warp][row + at / 2 * 8][tile * kTileUnits + lane % 4 * 2 + at % 2] = sums[tile][at];
  __syncthreads();
}

template <int kUnitTiles>
__device__ void activate_units(const GateOfTokens& gate, Block<kUnitTiles>& shared) {
  const int token = static_cast<int>(threadIdx.x) / kOfToken;
  for (int unit = static_cast<int>(threadIdx.x) % kOfToken; unit < gate.units; unit += kOfToken) {
    float x = gate.b1[unit];
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) x += shared.units.of_warp[warp][token][unit];
    shared.units.values[token][unit] = gate.gelu ? nn::gelu(x).value : x;
  }
  __syncwarp();  // a token is of one warp
}

struct Best {
  float logit;
  int one;
};
// A larger logit, or the lower class of equals; one that is not a number is the largest.
__device__ inline bool is_better(const Best& a, const Best& b) {
  if (isnan(a.logit) != isnan(b.logit)) return isnan(a.logit);
  return a.logit > b.logit || (!(a.logit < b.logit) && a.one < b.one);
}
__device__ inline Best best_of_token(Best mine) {
  for (int distance = 1; distance < kOfToken; distance *= 2) {
    const Best other{__shfl_xor_sync(kAllLanes, mine.logit, distance),
                     static_cast<int>(__shfl_xor_sync(kAllLanes, static_cast<unsigned>(mine.one), distance))};
    if (is_better(other, mine)) mine = other;
  }
  return mine;
}

// Writes the logits and the choice, and gives the latter, to all threads of a token.
template <int kUnitTiles>
__device__ int64_t choose(const GateOfTokens& gate, int64_t rows, const Block<kUnitTiles>& shared) {
  const int here = static_cast<int>(threadIdx.x) / kOfToken, place = static_cast<int>(threadIdx.x) % kOfToken;
  const int64_t token = first_token() + here;
  Best best{-INFINITY, static_cast<int>(gate.allowed)};
  for (int one = place; one < gate.allowed; one += kOfToken) {
    const float* weights = gate.layer + one * (gate.units + 1);
    float logit = weights[gate.units];
#pragma unroll 8
    for (int unit = 0; unit < gate.units; ++unit) logit += weights[unit] * shared.units.values[here][unit];
    if (token < rows) gate.logits[token * gate.allowed + one] = logit;
    if (is_better({logit, one}, best)) best = {logit, one};
  }
  const int64_t choice = gate.min_k + best_of_token(best).one;
  if (place == 0 && token < rows) gate.choice[token] = choice;
  return choice;
}

// All threads: the gate of the block's tokens, which bring_tokens() has brought; what they chose, to all threads of a
// token.
template <int kUnitTiles>
__device__ int64_t run_gate(const GateOfTokens& gate, int64_t rows, int width, Block<kUnitTiles>& shared) {
  multiply_units(gate, width, shared);
  activate_units(gate, shared);
  return choose(gate, rows, shared);
}

// Calls run with a constant: how many tiles hold so many units, at most kMostGateUnits.
template <class Run>
const char* by_unit_tiles(int64_t units, Run run) {
  switch (padded_units(units) / kTileUnits) {
    case 0:
      return run(std::integral_constant<int, 0>{});
    case 1:
      return run(std::integral_constant<int, 1>{});
    case 2:
      return run(std::integral_constant<int, 2>{});
    case 3:
      return run(std::integral_constant<int, 3>{});
    case 4:
      return run(std::integral_constant<int, 4>{});
    default:
      return "a gate has more than 32 hidden units";
  }
}

// What is wrong with them, or nullptr.
inline const char* check_tokens(const void* tokens, int64_t rows, int64_t width) {
  if (rows < 1 || rows > kMostTokens) return "no tokens, or too many at once";
  if (width % kStep != 0 || width > kMostTokenWidth) return "tokens of another width";
  if (reinterpret_cast<uintptr_t>(tokens) % 16 != 0) return "tokens do not begin at a multiple of 16 bytes";
  return nullptr;
}

// Puts on the stream a kernel with a block for each kTokens tokens, all in one round; Shared ends with the tokens.
template <class Shared, class Work>
const char* launch_blocks(void (*kernel)(Work), int64_t rows, int64_t width, const Work& work, void* stream) {
  static_assert(sizeof(Shared) + kTokenBytes * kMostTokenWidth <= size_t{kMostShared});
  cudaLaunchConfig_t config = nn::blocks_for(rows, kTokens, kThreads, stream);
  config.gridDim = dim3(static_cast<unsigned>(quotient_up(rows, int64_t{kTokens})));
  return launch_with_shared(config, sizeof(Shared) + kTokenBytes * static_cast<size_t>(width), kernel, work);
}

}  // namespace acm::in_block
