#include "acm/cuda/gated_products.h"

#include "acm/cuda/token_tiles.h"
#include "nn/cuda/product_loop.h"

namespace acm {
namespace {

using namespace nn::hopper;

constexpr int kTokens = static_cast<int>(kTileTokens), kTilesOfTokens = kTokens / kTileRows;
static_assert(kTokens % kTileRows == 0);

// A layer of the learners (product_loop.h): tiles of most learners come first.
template <bool kFirst, bool kGelu>
struct GatedLayer {
  // Of each count, how many tiles of the result there are for it and the counts above it.
  struct Plan {
    int tiles[kMostOrdered + 2];
  };
  struct Tile : ProductTile {
    int end = 0;    // of the rows that hold tokens
    int count = 0;  // of learners that they run
  };
  using Row = int;  // of the result; negative: none

  int learners, learner_width;
  int most_tiles;  // of one count
  const int32_t *numbers, *places;
  int inner, outer;  // numbers that are added; columns of the result
  const uint16_t* bias;
  uint16_t* result;

  __device__ int tiles_across(int count) const { return tiles_over(kFirst ? count * learner_width : outer, kColumns); }

  __device__ void plan(Plan& plan) const {
    int tiles = plan.tiles[learners + 1] = 0;
    for (int count = learners; count > 0; --count)
      plan.tiles[count] = tiles += tiles_over(numbers[count], kTokens) * kTilesOfTokens * tiles_across(count);
  }

  __device__ Tile tile_at(const Plan& plan, int index) const {
    for (int count = learners; count > 0; --count) {
      if (index >= plan.tiles[count]) continue;
      const int of_count = index - plan.tiles[count + 1], across = tiles_across(count), column = of_count % across;
      const int number = of_count / across / kTilesOfTokens, part = of_count / across % kTilesOfTokens;
      const int place = numbers[tiles_of_count(count, learners, most_tiles) + number] - 1, first = place * kTokens;
      return {{.row = first + part * kTileRows,
               .left_column = 0,
               .right_row = column * kColumns,
               .tile_column = column,
               .steps = tiles_over(kFirst ? inner : count * learner_width, kTileDepth)},
              first + numbers[count] - number * kTokens,
              count};
    }
    return {};
  }

  __device__ Row row_of(const Tile& tile, int row) const {
    if (kFirst) return row;
    return row < tile.end ? places[row] : -1;
  }

  __device__ Eight added_to(const Tile& tile, int column) const {
    if (!bias || column >= outer) return {};
    return eight_at(bias + (kFirst ? 0 : static_cast<int64_t>(tile.count - 1) * outer) + column);
  }

  __device__ void write(const Tile& tile, Row row, int column, const EightSums& sums, const Eight& added) const {
    const bool runs = !kFirst || column < tile.count * learner_width;  // else zeros: the second layer reads them
    const Eight values = runs ? finished<kGelu>(sums, added) : Eight{};
    if (row >= 0 && column < outer) write_eight(values, result + static_cast<int64_t>(row) * outer + column);
  }
};

template <bool kFirst, bool kGelu>
const char* run(const TokenTiles& of, const LearnerShape& shape, const void* left, const void* right, const void* bias,
                void* result, void* stream) {
  const int64_t inner = kFirst ? shape.width : shape.hidden(), outer = kFirst ? shape.hidden() : shape.width;
  const GatedLayer<kFirst, kGelu> layer{.learners = static_cast<int>(shape.learners),
                                        .learner_width = static_cast<int>(shape.learner_width),
                                        .most_tiles = static_cast<int>(most_tiles(of.tokens)),
                                        .numbers = of.numbers,
                                        .places = of.places,
                                        .inner = static_cast<int>(inner),
                                        .outer = static_cast<int>(outer),
                                        .bias = static_cast<const uint16_t*>(bias),
                                        .result = static_cast<uint16_t*>(result)};
  return multiply_on_gpu(layer, {left, tiled_rows(of.tokens, of.learners), inner}, {right, outer, inner}, stream);
}

}  // namespace

bool has_gated_products(const LearnerShape& shape) {
  return shape.width % nn::kRowGroup == 0 && shape.hidden() % nn::kRowGroup == 0 && shape.learner_width % 8 == 0 &&
         shape.width <= kMostTokenWidth && shape.learners <= kMostOrdered && on_hopper();
}

const char* first_layer_on_gpu(const TokenTiles& of, const FirstLayer& layer, const LearnerShape& shape, void* stream) {
  return (layer.gelu ? run<true, true> : run<true, false>)(of, shape, of.rows, layer.w1, layer.b1, layer.hidden,
                                                           stream);
}

const char* second_layer_on_gpu(const TokenTiles& of, const SecondLayer& layer, const LearnerShape& shape,
                                void* stream) {
  return run<false, false>(of, shape, layer.hidden, layer.w2, layer.bias_sums, layer.output, stream);
}

}  // namespace acm
