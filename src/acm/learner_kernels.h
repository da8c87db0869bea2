#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

#include "acm/gated_execution.h"
#include "nn/kernels/product.h"

namespace acm {

// What the kernels that train learners share (CPU, float32). The rows of a step are cut into chunks and these into
// blocks, by their number alone. Threads share the blocks of a chunk, and then the learners, whose gradients add up
// block after block: the bits are the same for any number of threads. What a block holds stays in the cache of a core,
// and eight threads find work in a chunk.
inline constexpr int64_t kChunkRows = 1024, kBlockRows = 128;

// work(first row, rows) for each chunk of `rows`, or block of a chunk.
template <typename Work>
void for_each_part(int64_t rows, int64_t most, const Work& work) {
  for (int64_t first = 0; first < rows; first += most) work(first, std::min(most, rows - first));
}

// The learners of one layer in plain memory.
struct LearnerPointers {
  explicit LearnerPointers(const LearnerWeights& weights);
  nn::MatrixView first_layer() const { return {w1, hidden}; }                              // [width, hidden]
  nn::MatrixView second_layer(int64_t n) const { return {w2 + n * each * width, width}; }  // [each, width]

  int64_t width, hidden, learners, each;  // each: learner width
  bool gelu;
  const float *w1, *b1, *w2, *b2;  // b2: nullptr without output bias
};

struct LearnerGradients {
  static LearnerGradients zeros(const LearnerWeights& weights);
  at::Tensor w1, b1, w2, b2;  // b2 undefined without output bias
};

// values [rows, hidden] = activation(tokens w1 + b1); slopes likewise, its derivative there: nullptr, or not written
// for the identity.
void run_first_layer(const LearnerPointers& learners, const float* tokens, int64_t rows, float* values, float* slopes);

// Pointers to the first row of a block. values: what w2 multiplies [rows, hidden]; of_values: gradients with respect to
// what the activation takes [rows, hidden]; of_output: with respect to the learner's output [rows, width].
struct BackwardBlock {
  int64_t rows;
  const float *tokens, *values, *of_values, *of_output;
};
// Adds what a block gives to the gradients of learner n.
void add_gradients(const LearnerPointers& learners, int64_t n, const BackwardBlock& block,
                   const LearnerGradients& gradients);

}  // namespace acm
