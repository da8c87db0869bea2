#pragma once

#include <cstdint>

namespace acm {

// The two layers of the learners on a GPU of compute capability 9.0, in bfloat16: each is a product of all tokens, in
// which tiles of tokens that run fewer learners are shorter. All pointers but those of `stream`, a cudaStream_t, lie on
// the GPU; rows stand behind one another without gaps. Each function puts its work on the stream and gives what CUDA
// says of that, or nullptr.

// Whether the GPU can, and width and hidden units are multiples of eight, those of a learner of two.
bool has_gated_products(int64_t width, int64_t hidden, int64_t learner_width);

// Which tokens run how many of the learners: `order` and `sizes` as of order_on_gpu.
struct TokensInOrder {
  int64_t rows;
  const int64_t *choice, *order, *sizes;  // [rows], [rows], [learners + 2]
  int64_t learners, learner_width;
  constexpr int64_t hidden() const { return learners * learner_width; }
};

// What follows is bfloat16.
struct FirstLayer {
  const void* tokens;  // [rows, width], in the order
  const void* w1;      // [hidden, width]
  const void* b1;      // [hidden]
  bool gelu;           // else the identity
  void* hidden;  // [rows, hidden]: of each token the units of the learners it runs, and zeros where another of its tile
                 // has units
};
const char* first_layer_on_gpu(const TokensInOrder& of, const FirstLayer& layer, int64_t width, void* stream);

// The sums of the learners that run, at the tokens' own places; NaN for a token of an impossible count.
struct SecondLayer {
  const void* hidden;     // as above
  const void* w2;         // [width, hidden]
  const void* bias_sums;  // [learners, width], what the first 1, 2, ... add; or nullptr
  void* output;           // [rows, width]
};
const char* second_layer_on_gpu(const TokensInOrder& of, const SecondLayer& layer, int64_t width, void* stream);

}  // namespace acm
