#include "acm/cuda/masked_products.h"

#include "nn/cuda/product_loop.h"

namespace acm {
namespace {

using namespace nn::hopper;

// What both layers have: tiles beside one another first, site after site, so that those at work read the same rows.
struct MaskedLayer {
  struct Plan {};
  struct Tile : ProductTile {
    int site = 0;
  };

  int sites, rows;
  int outer;  // columns of the result of a site
  uint16_t* result;

  __device__ void plan(Plan&) const {}

  // left_columns, inner: of a site, how far its factor begins from that of the one before, and how long it is.
  __device__ Tile tile_of_site(int index, int left_columns, int inner) const {
    const int of_site = tiles_over(outer, kColumns), across = sites * of_site;
    const int row = index / across * kTileRows, site = index % across / of_site, column = index % of_site;
    return {{.row = row < rows ? row : -1,
             .left_column = site * left_columns,
             .right_row = site * outer + column * kColumns,
             .tile_column = column,
             .steps = tiles_over(inner, kTileDepth)},
            site};
  }
};

template <bool kGelu>
struct FirstOfMasked : MaskedLayer {
  struct Row {
    int row, columns;  // of the result, and how many of its columns are of learners that run
  };

  int inner, learners, learner_width;
  const uint16_t* bias;
  const int64_t* choice;

  __device__ Tile tile_at(const Plan&, int index) const { return tile_of_site(index, 0, inner); }

  __device__ Row row_of(const Tile& tile, int row) const {
    // Without a branch, so that a thread's reads are under way together.
    const int64_t count = choice[static_cast<int64_t>(tile.site) * rows + (row < rows ? row : 0)];
    const int runs = static_cast<int>(count > learners ? learners : count < 0 ? 0 : count);
    return {row < rows ? row : -1, runs * learner_width};
  }

  __device__ Eight added_to(const Tile& tile, int column) const {
    return column < outer ? eight_at(bias + tile.site * outer + column) : Eight{};
  }

  __device__ void write(const Tile& tile, const Row& to, int column, const EightSums& sums, const Eight& added) const {
    const Eight values = column < to.columns ? finished<kGelu>(sums, added) : Eight{};
    if (to.row >= 0 && column < outer)
      write_eight(values, result + (static_cast<int64_t>(to.row) * sites + tile.site) * outer + column);
  }
};

struct SecondOfMasked : MaskedLayer {
  using Row = int;  // of the result

  int inner;

  __device__ Tile tile_at(const Plan&, int index) const { return tile_of_site(index, inner, inner); }
  __device__ Row row_of(const Tile&, int row) const { return row; }
  __device__ Eight added_to(const Tile&, int) const { return {}; }
  __device__ void write(const Tile& tile, Row row, int column, const EightSums& sums, const Eight& added) const {
    if (row < rows && column < outer)
      write_eight(finished<false>(sums, added),
                  result + (static_cast<int64_t>(tile.site) * rows + row) * outer + column);
  }
};

MaskedLayer layer_of(const MaskedShape& shape, int64_t outer, void* result) {
  return {static_cast<int>(shape.sites), static_cast<int>(shape.rows), static_cast<int>(outer),
          static_cast<uint16_t*>(result)};
}

template <bool kGelu>
const char* run_first(const MaskedShape& shape, const MaskedFirst& layer, void* stream) {
  const auto& [width, learners, learner_width] = shape.learners;
  const int64_t hidden = shape.learners.hidden();
  const FirstOfMasked<kGelu> job{layer_of(shape, hidden, layer.hidden),
                                 static_cast<int>(width),
                                 static_cast<int>(learners),
                                 static_cast<int>(learner_width),
                                 static_cast<const uint16_t*>(layer.b1),
                                 layer.choice};
  return multiply_on_gpu(job, {layer.tokens, shape.rows, width}, {layer.w1, shape.sites * hidden, width}, stream);
}

}  // namespace

bool has_masked_products(const LearnerShape& shape) {
  return shape.width % nn::kRowGroup == 0 && shape.hidden() % kTileDepth == 0 && shape.learner_width % 8 == 0 &&
         on_hopper();
}

const char* masked_first_on_gpu(const MaskedShape& shape, const MaskedFirst& layer, void* stream) {
  return (layer.gelu ? run_first<true> : run_first<false>)(shape, layer, stream);
}

const char* masked_second_on_gpu(const MaskedShape& shape, const MaskedSecond& layer, void* stream) {
  const int64_t width = shape.learners.width, hidden = shape.learners.hidden();
  const SecondOfMasked job{layer_of(shape, width, layer.outputs), static_cast<int>(hidden)};
  return multiply_on_gpu(job, {layer.hidden, shape.rows, shape.sites * hidden}, {layer.w2, shape.sites * width, hidden},
                         stream);
}

}  // namespace acm
