#include "acm/prefix_kernels.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cmath>
#include <vector>

#include "nn/kernels/feed_forward.h"
#include "nn/kernels/vector_math.h"

namespace acm {
namespace {

// The rows of a block: pointers to its first.
struct Block {
  int64_t first, rows;
  const float *tokens, *target;  // [rows, width]
  float* widened;                // [2, rows, width]: those two, where they are stored narrow; else nullptr
  float *values, *slopes;        // [rows, hidden]
  float* of_values;              // [rows, hidden]: gradients with respect to what the activation takes
  float* errors;                 // [learners, rows, width]: h(z, n) - target
  float* squares = nullptr;      // [rows, learners]: the squared lengths of those

  float* errors_of(const LearnerPointers& learners, int64_t n) const { return errors + n * rows * learners.width; }
};

// The rows, and scratch space for a chunk of them, each block's beside each other.
class Chunk {
 public:
  Chunk(const at::Tensor& tokens, const at::Tensor& target, const LearnerPointers& learners)
      : tokens_(tokens),
        target_(target),
        learners_(learners),
        is_narrow_(tokens.scalar_type() != at::kFloat),
        space_(at::empty({std::min(kChunkRows, tokens.size(0)), 3 * learners.hidden +
                                                                    learners.learners * (learners.width + 1) +
                                                                    (is_narrow_ ? 2 * learners.width : 0)})) {}

  std::vector<Block> blocks(int64_t begin, int64_t chunk_rows) const {
    std::vector<Block> blocks;
    for_each_part(chunk_rows, kBlockRows, [&](int64_t first, int64_t rows) {
      const int64_t hidden = rows * learners_.hidden;
      float* space = space_.mutable_data_ptr<float>() + first * space_.size(1);
      const auto stored = [&](const at::Tensor& all) {
        return all.const_data_ptr<float>() + (begin + first) * learners_.width;
      };
      float* widened = is_narrow_ ? space + rows * (space_.size(1) - 2 * learners_.width) : nullptr;
      Block block{.first = begin + first,
                  .rows = rows,
                  .tokens = is_narrow_ ? widened : stored(tokens_),
                  .target = is_narrow_ ? widened + rows * learners_.width : stored(target_),
                  .widened = widened,
                  .values = space,
                  .slopes = space + hidden,
                  .of_values = space + 2 * hidden,
                  .errors = space + 3 * hidden};
      block.squares = block.errors_of(learners_, learners_.learners);
      blocks.push_back(block);
    });
    return blocks;
  }

  void widen(const Block& block) const {
    if (!is_narrow_) return;
    const at::Tensor widened = at::from_blob(block.widened, {2, block.rows, learners_.width});
    widened.select(0, 0).copy_(tokens_.narrow(0, block.first, block.rows));
    widened.select(0, 1).copy_(target_.narrow(0, block.first, block.rows));
  }

 private:
  const at::Tensor &tokens_, &target_;
  const LearnerPointers& learners_;
  bool is_narrow_;
  at::Tensor space_;
};

// work(chunk, blocks) for the chunks of all rows, in order.
template <typename Work>
void for_each_chunk(const at::Tensor& tokens, const at::Tensor& target, const LearnerPointers& learners,
                    const Work& work) {
  const Chunk chunk(tokens, target, learners);
  for_each_part(tokens.size(0), kChunkRows,
                [&](int64_t first, int64_t rows) { work(chunk, chunk.blocks(first, rows)); });
}

template <typename Work>
void share_blocks(const std::vector<Block>& blocks, const Work& work) {
  nn::share_among_threads(static_cast<int64_t>(blocks.size()),
                          [&](int64_t i) { work(blocks[static_cast<size_t>(i)]); });
}

void compute_errors(const LearnerPointers& learners, const Block& block) {
  const int64_t width = learners.width;
  for (int64_t n = 0; n < learners.learners; ++n) {
    float* output = block.errors_of(learners, n);
    nn::multiply(block.rows, width, learners.each, {block.values + n * learners.each, learners.hidden},
                 learners.second_layer(n), output, width);
    if (learners.b2 != nullptr) nn::add_bias(output, learners.b2 + n * width, block.rows, width);
  }
  nn::prefix_errors(block.errors, block.target, block.squares, learners.learners, block.rows, width);
}

// Leaves the gradients of the learners' outputs in errors.
void compute_gradients(const LearnerPointers& learners, const Block& block, bool nested) {
  const int64_t rows = block.rows, width = learners.width;
  if (nested) nn::suffix_sums(block.errors, learners.learners, rows * width);
  for (int64_t n = 0; n < learners.learners; ++n) {
    nn::MatrixView w2 = learners.second_layer(n);
    w2.transposed = true;
    nn::multiply(rows, learners.each, width, {block.errors_of(learners, n), width}, w2,
                 block.of_values + n * learners.each, learners.hidden);
  }
  if (learners.gelu) nn::multiply_elements(block.of_values, block.slopes, rows * learners.hidden);
}

double sum_of_squares(const LearnerPointers& learners, const Block& block) {
  double sum = 0;
  for (int64_t i = 0; i < block.rows * learners.learners; ++i) sum += block.squares[i];
  return sum;
}

// distances [rows, learners + 1]
void write_distances(const LearnerPointers& learners, const Block& block, float* distances) {
  for (int64_t row = 0; row < block.rows; ++row, distances += learners.learners + 1) {
    distances[0] = std::sqrt(nn::sum_of_squares(block.target + row * learners.width, learners.width));
    for (int64_t n = 0; n < learners.learners; ++n)
      distances[n + 1] = std::sqrt(block.squares[row * learners.learners + n]);
  }
}

}  // namespace

bool prefix_kernels_apply(const at::Tensor& tokens, const at::Tensor& target, const LearnerWeights& weights) {
  const auto are_stored = [&](at::ScalarType type) {
    return tokens.scalar_type() == type && target.scalar_type() == type && tokens.is_cpu() && target.is_cpu() &&
           tokens.is_contiguous() && target.is_contiguous();
  };
  return nn::kernels_apply({weights.w1, weights.b1, weights.w2, weights.b2}) &&
         (nn::kernels_apply({tokens, target}) || are_stored(at::kHalf) || are_stored(at::kBFloat16));
}

PrefixLoss prefix_loss_by_kernels(const at::Tensor& tokens, const at::Tensor& target, const LearnerWeights& weights,
                                  bool nested) {
  const LearnerPointers learners(weights);
  PrefixLoss loss{0, LearnerGradients::zeros(weights)};
  for_each_chunk(tokens, target, learners, [&](const Chunk& chunk, const std::vector<Block>& blocks) {
    share_blocks(blocks, [&](const Block& block) {
      chunk.widen(block);
      run_first_layer(learners, block.tokens, block.rows, block.values, block.slopes);
      compute_errors(learners, block);
      compute_gradients(learners, block, nested);
    });
    nn::share_among_threads(learners.learners, [&](int64_t n) {
      for (const Block& block : blocks) {
        const float* of_output = block.errors_of(learners, n);
        add_gradients(learners, n, {block.rows, block.tokens, block.values, block.of_values, of_output},
                      loss.half_gradients);
        if (learners.b2 != nullptr)
          nn::add_column_sums(loss.half_gradients.b2.mutable_data_ptr<float>() + n * learners.width, of_output,
                              block.rows, learners.width, learners.width);
      }
    });
    for (const Block& block : blocks) loss.squares += sum_of_squares(learners, block);
  });
  return loss;
}

at::Tensor prefix_distances_by_kernels(const at::Tensor& tokens, const at::Tensor& target,
                                       const LearnerWeights& weights) {
  const LearnerPointers learners(weights);
  at::Tensor distances = at::empty({tokens.size(0), learners.learners + 1});
  for_each_chunk(tokens, target, learners, [&](const Chunk& chunk, const std::vector<Block>& blocks) {
    share_blocks(blocks, [&](const Block& block) {
      chunk.widen(block);
      run_first_layer(learners, block.tokens, block.rows, block.values, nullptr);
      compute_errors(learners, block);
      write_distances(learners, block, distances.mutable_data_ptr<float>() + block.first * (learners.learners + 1));
    });
  });
  return distances;
}

}  // namespace acm
