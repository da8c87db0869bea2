#pragma once

#include <cstdint>

#include "acm/cuda/token_gates.h"
#include "acm/cuda/token_rows.h"
#include "core/quotient.h"

namespace acm {

// What comes before the products of gated_products.h, on the same GPUs: what gates choose, and tokens in tiles of
// kTileTokens that run equally many learners. It is one kernel, which reads each token once. All pointers lie on the
// GPU.

inline constexpr int64_t kTileTokens = 256;

// The most rows that the tiles of so many tokens have.
constexpr int64_t tiled_rows(int64_t tokens, int64_t learners) {
  return (tokens + learners * (kTileTokens - 1)) / kTileTokens * kTileTokens;
}
constexpr int64_t most_tiles(int64_t tokens) { return quotient_up(tokens, kTileTokens); }  // of one count

// The tiles of tokens that run 1, 2, ... learners stand wherever there was room, and the tokens within them in any
// order: a product of a row does not depend on its place. Tokens that run none stand in no tile. `numbers`: first how
// many tiles there are, then of each count how many tokens run so many; then of each count most_tiles(tokens) places:
// the number of its first tile, second, ... plus one.
struct TokenTiles {
  int64_t tokens, learners;
  int32_t* numbers;  // [tile_numbers()], zeros before the work
  int32_t* places;   // [tiled_rows()]: which token is there; not set where a tile has room left
  void* rows;        // bfloat16 [tiled_rows(), width]: the tokens
};
// The index in `numbers` of the places of a count's tiles; most: most_tiles().
constexpr int64_t tiles_of_count(int64_t count, int64_t learners, int64_t most) {
  return 1 + learners + (count - 1) * most;
}
constexpr int64_t tile_numbers(int64_t tokens, int64_t learners) {
  return tiles_of_count(learners + 1, learners, most_tiles(tokens));
}

// tokens, output: bfloat16 [tokens, width], from a multiple of 16 bytes on; width a multiple of 32; as many and as wide
// as choose_on_gpu() takes. Tokens run as many learners as `choice` says, or the gate where that is null; a gate there
// need not be where it is not. The rows of `output` are filled for tokens that stand in no tile: zeros for 0 learners,
// NaN for an impossible number. Gives what CUDA says, or nullptr. At most kMostOrdered learners.
const char* place_tokens_on_gpu(const void* tokens, int64_t width, const int64_t* choice, const GateOfTokens* gate,
                                const TokenTiles& to, void* output, void* stream);

}  // namespace acm
