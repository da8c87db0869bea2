#include "acm/cuda/token_tiles.h"

#include "acm/cuda/gate_in_block.h"

namespace acm {
namespace {

using namespace in_block;

constexpr int kImpossible = -1;

struct Work {
  const uint16_t* tokens;  // [to.tokens, width]
  const int64_t* choice;
  GateOfTokens gate;
  TokenTiles to;
  uint16_t* output;
  int width;
};

template <int kUnitTiles>
struct Shared {
  int runs[kTokens];  // learners
  Block<kUnitTiles> block;
};

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
  bring_tokens(work.tokens, work.to.tokens, work.width, shared.block);
  const int64_t left = work.to.tokens - first_token();
  const int here = static_cast<int>(threadIdx.x) / kOfToken;
  int64_t count = 0;
  if constexpr (kUnitTiles > 0) count = run_gate(work.gate, work.to.tokens, work.width, shared.block);
  if (work.choice) count = here < left ? work.choice[first_token() + here] : 0;
  const bool possible = count >= 0 && count <= work.to.learners;
  if (threadIdx.x % kOfToken == 0)
    shared.runs[here] = here >= left ? 0 : possible ? static_cast<int>(count) : kImpossible;
  __syncthreads();
  fill(work, shared.runs);
  if (threadIdx.x >= kLanes) return;
  shared.block.filled.wait(0);  // they may have come for the gate already
  place_rows(work, shared.runs, shared.block.tokens);
}

}  // namespace

const char* place_tokens_on_gpu(const void* tokens, int64_t width, const int64_t* choice, const GateOfTokens* gate,
                                const TokenTiles& to, void* output, void* stream) {
  if (const char* failure = check_tokens(tokens, to.tokens, width)) return failure;
  const Work work{static_cast<const uint16_t*>(tokens), choice,
                  gate ? *gate : GateOfTokens{},        to,
                  static_cast<uint16_t*>(output),       static_cast<int>(width)};
  return by_unit_tiles(work.gate.units, [&]<int kUnitTiles>(std::integral_constant<int, kUnitTiles>) {
    return launch_blocks<Shared<kUnitTiles>>(place_tokens<kUnitTiles>, to.tokens, width, work, stream);
  });
}

}  // namespace acm
