#pragma once

#include <cstdint>

#include "acm/cuda/learner_shape.h"
#include "acm/cuda/token_tiles.h"

namespace acm {

// The two layers of the learners on a GPU of compute capability 9.0, in bfloat16: each is a product of all tokens, in
// which tiles of tokens that run fewer learners are shorter. All pointers but those of `stream`, a cudaStream_t, lie on
// the GPU; rows stand behind one another without gaps. Each function puts its work on the stream and gives what CUDA
// says of that, or nullptr.

// Whether the GPU can, width and hidden units are multiples of nn::kRowGroup, those of a learner of eight, and tokens
// can stand in tiles.
bool has_gated_products(const LearnerShape& shape);

// What follows is bfloat16; `rows` are those of the tiles.
struct FirstLayer {
  const void* w1;  // [hidden, width], rows as nn::kRowGroup says
  const void* b1;  // [hidden]
  bool gelu;       // else the identity
  void* hidden;    // [rows, hidden]: of each token the units of the learners it runs, then zeros up to a multiple of 64
                   // or the end; what is behind them is not set
};
const char* first_layer_on_gpu(const TokenTiles& of, const FirstLayer& layer, const LearnerShape& shape, void* stream);

// The sums of the learners that run, at the tokens' own places.
struct SecondLayer {
  const void* hidden;     // as above
  const void* w2;         // [width, hidden], rows as nn::kRowGroup says
  const void* bias_sums;  // [learners, width], what the first 1, 2, ... add; or nullptr
  void* output;           // [tokens, width]; rows of tokens that stand in no tile stay
};
const char* second_layer_on_gpu(const TokenTiles& of, const SecondLayer& layer, const LearnerShape& shape,
                                void* stream);

}  // namespace acm
