#include "acm/cuda/token_tiles.h"

#include <type_traits>

#include "nn/cuda/gelu.h"
#include "nn/cuda/hopper.h"
#include "nn/cuda/warp_product.h"

namespace acm {
namespace {

using namespace nn::hopper;

// A block has 16 tokens, which come into shared memory at once and leave it from there. Its warps share the numbers of
// a token for the first layer of the gate, and then its threads the units and logits. With 32 tokens or half as many
// warps all took 1.03 to 1.1 times as long on an H100.
constexpr int kTokens = 16, kWarps = 8, kLanes = 32, kThreads = kWarps * kLanes;
constexpr int kChunk = 8, kStep = 4 * kChunk;  // numbers that a lane reads at once; of a token, by four lanes
constexpr int kTileUnits = 8;                  // units of a product
constexpr int kOfToken = kThreads / kTokens;   // threads
constexpr int kImpossible = -1;
constexpr unsigned kAllLanes = 0xffffffff;

struct Work {
  const uint16_t* tokens;  // [to.tokens, width]
  const int64_t* choice;
  GateOfTokens gate;
  TokenTiles to;
  uint16_t* output;
  int width;
};

template <int kUnits>
struct Units {
  float of_warp[kWarps][kTokens][kUnits], values[kTokens][kUnits];  // sums over a warp's part of the tokens; values
};
struct NoUnits {};
template <int kUnitTiles>
struct Shared {
  Barrier filled;
  int runs[kTokens];  // learners
  std::conditional_t<kUnitTiles == 0, NoUnits, Units<kUnitTiles * kTileUnits>> units;
  alignas(128) uint16_t tokens[1];  // [kTokens, width]
};

__device__ int64_t first_token() { return static_cast<int64_t>(blockIdx.x) * kTokens; }

__device__ uint4 chunk_at(const uint16_t* numbers) { return *reinterpret_cast<const uint4*>(numbers); }

// The first layer before bias and activation, over every kWarps-th step of the tokens. A lane reads eight numbers in a
// row; that the product takes them for others does not matter to its sums, since they are the same of tokens and
// weights.
template <int kUnitTiles>
__device__ void multiply_units(const Work& work, Shared<kUnitTiles>& shared) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes, warp = static_cast<int>(threadIdx.x) / kLanes,
            row = lane / 4;
  const uint16_t *low_token = shared.tokens + row * work.width, *high_token = low_token + 8 * work.width,
                 *unit = static_cast<const uint16_t*>(work.gate.w1) + static_cast<int64_t>(row) * work.width;
  float sums[kUnitTiles][4] = {};
#pragma unroll 3
  for (int at = warp * kStep + lane % 4 * kChunk; at < work.width; at += kWarps * kStep) {
    const uint4 low = chunk_at(low_token + at), high = chunk_at(high_token + at);
#pragma unroll
    for (int tile = 0; tile < kUnitTiles; ++tile) {
      const uint4 weights = chunk_at(unit + static_cast<int64_t>(tile * kTileUnits) * work.width + at);
      nn::multiply_in_warp(sums[tile], {low.x, high.x, low.y, high.y}, {weights.x, weights.y});
      nn::multiply_in_warp(sums[tile], {low.z, high.z, low.w, high.w}, {weights.z, weights.w});
    }
  }
#pragma unroll
  for (int tile = 0; tile < kUnitTiles; ++tile)
#pragma unroll
    for (int at = 0; at < 4; ++at)
      shared.units.of_warp[warp][row + at / 2 * 8][tile * kTileUnits + lane % 4 * 2 + at % 2] = sums[tile][at];
  __syncthreads();
}

template <int kUnitTiles>
__device__ void activate_units(const GateOfTokens& gate, Shared<kUnitTiles>& shared) {
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
__device__ bool is_better(const Best& a, const Best& b) {
  if (isnan(a.logit) != isnan(b.logit)) return isnan(a.logit);
  return a.logit > b.logit || (!(a.logit < b.logit) && a.one < b.one);
}
__device__ Best best_of_token(Best mine) {
  for (int distance = 1; distance < kOfToken; distance *= 2) {
    const Best other{__shfl_xor_sync(kAllLanes, mine.logit, distance),
                     static_cast<int>(__shfl_xor_sync(kAllLanes, static_cast<unsigned>(mine.one), distance))};
    if (is_better(other, mine)) mine = other;
  }
  return mine;
}

// Writes the logits and the choice, and gives the latter.
template <int kUnitTiles>
__device__ int64_t decide(const GateOfTokens& gate, int64_t tokens, const Shared<kUnitTiles>& shared) {
  const int here = static_cast<int>(threadIdx.x) / kOfToken, place = static_cast<int>(threadIdx.x) % kOfToken;
  const int64_t token = first_token() + here;
  Best best{-INFINITY, static_cast<int>(gate.allowed)};
  for (int one = place; one < gate.allowed; one += kOfToken) {
    const float* weights = gate.layer + one * (gate.units + 1);
    float logit = weights[gate.units];
#pragma unroll 8
    for (int unit = 0; unit < gate.units; ++unit) logit += weights[unit] * shared.units.values[here][unit];
    if (token < tokens) gate.logits[token * gate.allowed + one] = logit;
    if (is_better({logit, one}, best)) best = {logit, one};
  }
  const int64_t choice = gate.min_k + best_of_token(best).one;
  if (place == 0 && token < tokens) gate.choice[token] = choice;
  return choice;
}

// The place of a token that runs so many learners. All lanes of a warp; those of the same count come together.
__device__ int take_place(const TokenTiles& to, int count) {
  constexpr int kTile = static_cast<int>(kTileTokens);
  const unsigned lane = threadIdx.x % kLanes, alike = __match_any_sync(kAllLanes, count);
  const int leader = __ffs(static_cast<int>(alike)) - 1;
  int32_t* tiles = to.numbers + tiles_of_count(count, to.learners, most_tiles(to.tokens));
  int first = 0;
  if (count > 0 && static_cast<int>(lane) == leader) {
    const int more = __popc(alike);
    first = atomicAdd(to.numbers + count, more);
    const int tile = (first + kTile - 1) / kTile;  // the first that begins here
    if (tile * kTile < first + more) atomicExch(tiles + tile, atomicAdd(to.numbers, 1) + 1);
  }
  const int number = __shfl_sync(kAllLanes, first, leader) + __popc(alike & ((1u << lane) - 1));
  int tile = 0;  // another block may be about to say where it is; it waits for nothing before it does
  while (count > 0 && tile == 0) tile = *static_cast<volatile const int32_t*>(tiles + number / kTile);
  return (tile - 1) * kTile + number % kTile;
}

// One warp: takes the tokens that run learners to their places.
__device__ void place_rows(const Work& work, const int (&runs)[kTokens], const uint16_t* tokens) {
  const int here = static_cast<int>(threadIdx.x), count = here < kTokens ? runs[here] : 0,
            place = take_place(work.to, count);
  if (count > 0) {
    work.to.places[place] = static_cast<int32_t>(first_token() + here);
    copy_from_shared(static_cast<uint16_t*>(work.to.rows) + static_cast<int64_t>(place) * work.width,
                     tokens + here * work.width, static_cast<unsigned>(work.width) * 2);
  }
  wait_for_copies_from_shared();
}

// Fills the output of tokens that run none, or an impossible number.
__device__ void fill(const Work& work, const int (&runs)[kTokens]) {
  for (int here = static_cast<int>(threadIdx.x) / kLanes; here < kTokens; here += kWarps) {
    if (runs[here] > 0 || first_token() + here >= work.to.tokens) continue;
    const unsigned filling = runs[here] == kImpossible ? 0x7fc07fc0 : 0;  // NaN, twice
    auto* to = reinterpret_cast<uint4*>(work.output + (first_token() + here) * work.width);
    for (int i = static_cast<int>(threadIdx.x) % kLanes; i < work.width / kChunk; i += kLanes)
      to[i] = {filling, filling, filling, filling};
  }
}

template <int kUnitTiles>
__global__ void __launch_bounds__(kThreads) place_tokens(const Work work) {
  auto& shared = shared_memory<Shared<kUnitTiles>>();
  const int64_t left = work.to.tokens - first_token();
  if (threadIdx.x == 0) {
    shared.filled.init(1);
    publish_barriers();
  }
  __syncthreads();
  nn::wait_for_work_before();
  if (threadIdx.x == 0) {
    const unsigned bytes = static_cast<unsigned>(left < kTokens ? left : kTokens) * work.width * 2;
    shared.filled.arrive_announcing(bytes);
    copy_to_shared(shared.tokens, work.tokens + first_token() * work.width, bytes, shared.filled);
  }
  shared.filled.wait(0);
  const int here = static_cast<int>(threadIdx.x) / kOfToken;
  int64_t count = 0;
  if constexpr (kUnitTiles > 0) {
    multiply_units(work, shared);
    activate_units(work.gate, shared);
    count = decide(work.gate, work.to.tokens, shared);
  }
  if (work.choice) count = here < left ? work.choice[first_token() + here] : 0;
  const bool possible = count >= 0 && count <= work.to.learners;
  if (threadIdx.x % kOfToken == 0)
    shared.runs[here] = here >= left ? 0 : possible ? static_cast<int>(count) : kImpossible;
  __syncthreads();
  fill(work, shared.runs);
  if (threadIdx.x < kLanes) place_rows(work, shared.runs, shared.tokens);
}

template <int kUnitTiles>
const char* run(const Work& work, void* stream) {
  const size_t bytes = sizeof(Shared<kUnitTiles>) + sizeof(uint16_t) * kTokens * static_cast<size_t>(work.width);
  static_assert(sizeof(Shared<kUnitTiles>) + sizeof(uint16_t) * kTokens * kMostTokenWidth <= size_t{kMostShared});
  cudaLaunchConfig_t config = nn::blocks_for(work.to.tokens, kTokens, kThreads, stream);
  config.gridDim = dim3(static_cast<unsigned>(quotient_up(work.to.tokens, int64_t{kTokens})));  // one round of all
  return launch_with_shared(config, bytes, place_tokens<kUnitTiles>, work);
}

}  // namespace

const char* place_tokens_on_gpu(const void* tokens, int64_t width, const int64_t* choice, const GateOfTokens* gate,
                                const TokenTiles& to, void* output, void* stream) {
  if (to.tokens > kMostTokens) return "too many tokens at once";
  if (reinterpret_cast<uintptr_t>(tokens) % 16 != 0) return "tokens do not begin at a multiple of 16 bytes";
  const Work work{static_cast<const uint16_t*>(tokens), choice,
                  gate ? *gate : GateOfTokens{},        to,
                  static_cast<uint16_t*>(output),       static_cast<int>(width)};
  switch (quotient_up(work.gate.units, int64_t{kTileUnits})) {
    case 0:
      return run<0>(work, stream);
    case 1:
      return run<1>(work, stream);
    case 2:
      return run<2>(work, stream);
    case 3:
      return run<3>(work, stream);
    case 4:
      return run<4>(work, stream);
    default:
      return "a gate has more than 32 hidden units";
  }
}

}  // namespace acm
