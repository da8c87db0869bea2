#include "acm/cuda/packed_sites.h"

#include <algorithm>

#include "nn/cuda/by_scalar_type.h"
#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::first_item;
using nn::item_distance;
using nn::launch;

constexpr int kThreads = 256;

template <class Number>
struct Sites {
  SiteParameters<Number> of[kMostSites];
};

// The numbers that the products read, one after the other: w1, b1, w2, and the gates' second layers. Fewer than 2^32:
// divisions of 64 bits are slow.
struct Counts {
  uint32_t first, bias, second, gate_layer;
  explicit Counts(const MixedShape& s)
      : first(static_cast<uint32_t>(s.width * s.sites * s.columns())),
        bias(static_cast<uint32_t>(s.sites * s.columns())),
        second(first),
        gate_layer(static_cast<uint32_t>(s.sites * s.gate_layer())) {}
  static int64_t all(const MixedShape& s) { return s.sites * ((2 * s.width + 1) * s.columns() + s.gate_layer()); }
};

// Where the parameter stands that is number `column` of a row of w1 (or, for row D, of b1); null where none does.
template <class Number>
__device__ Number* first_parameter(const MixedShape& shape, const SiteParameters<Number>& site, uint32_t row,
                                   uint32_t column) {
  const auto hidden = static_cast<uint32_t>(shape.hidden()), width = static_cast<uint32_t>(shape.width);
  if (column < hidden) return row == width ? site.b1 + column : site.w1 + row * hidden + column;
  const uint32_t unit = column - hidden;
  if (unit >= shape.gate_hidden) return nullptr;
  return row == width ? site.gate_b1 + unit : site.gate_w1 + unit * width + row;
}

template <class Number>
__device__ Number* second_parameter(const MixedShape& shape, const SiteParameters<Number>& site, uint32_t row,
                                    uint32_t column) {
  const auto hidden = static_cast<uint32_t>(shape.hidden()), width = static_cast<uint32_t>(shape.width);
  if (row < hidden) return site.w2 + row * width + column;
  return row - hidden < shape.learners && site.b2 ? site.b2 + (row - hidden) * width + column : nullptr;
}

template <class Number>
__device__ Number* gate_layer_parameter(const MixedShape& shape, const SiteParameters<Number>& site, uint32_t at) {
  const auto units = static_cast<uint32_t>(shape.gate_hidden);
  const uint32_t row = at / (units + 1), column = at % (units + 1);
  return column == units ? site.gate_b2 + row : site.gate_w2 + row * units + column;
}

// Calls meet(parameter, packed) for each number of both, whose pointers may be null in the first.
template <class Number, class Matrix, class Bias, class Layer, class Meet>
__device__ void for_each_pair(const MixedShape& shape, const Sites<Number>& sites, Counts counts, Matrix* w1, Bias* b1,
                              Matrix* w2, Layer* gate_layer, Meet meet) {
  const auto columns = static_cast<uint32_t>(shape.columns()), width = static_cast<uint32_t>(shape.width),
             of_row = static_cast<uint32_t>(shape.sites) * columns,
             of_layer = static_cast<uint32_t>(shape.gate_layer());
  const int64_t all = int64_t{counts.first} + counts.bias + counts.second + counts.gate_layer;
  for (int64_t item = first_item(); item < all; item += item_distance()) {
    auto i = static_cast<uint32_t>(item);
    if (i < counts.first + counts.bias) {
      const uint32_t row = i / of_row, at = i % of_row;
      const auto parameter = first_parameter(shape, sites.of[at / columns], row, at % columns);
      row == width ? meet(parameter, b1[at]) : meet(parameter, w1[i]);
    } else if (i -= counts.first + counts.bias; i < counts.second) {
      const uint32_t row = i / width;
      meet(second_parameter(shape, sites.of[row / columns], row % columns, i % width), w2[i]);
    } else {
      i -= counts.second;
      meet(gate_layer_parameter(shape, sites.of[i / of_layer], i % of_layer), gate_layer[i]);
    }
  }
}

struct Pack {
  template <class Packed>
  __device__ void operator()(const float* parameter, Packed& packed) const {
    packed = static_cast<Packed>(parameter ? *parameter : 0.0f);
  }
};
template <class Number>
__global__ void pack(MixedShape shape, const __grid_constant__ Sites<const float> sites, Counts counts, Number* w1,
                     Number* b1, Number* w2, float* gate_layer) {
  for_each_pair(shape, sites, counts, w1, b1, w2, gate_layer, Pack{});
}

struct Unpack {
  template <class Packed>
  __device__ void operator()(float* parameter, const Packed& packed) const {
    if (parameter) *parameter = static_cast<float>(packed);
  }
};
template <class Number>
__global__ void unpack(MixedShape shape, const __grid_constant__ Sites<float> sites, Counts counts, const Number* w1,
                       const float* b1, const Number* w2, const float* gate_layer) {
  for_each_pair(shape, sites, counts, w1, b1, w2, gate_layer, Unpack{});
}

template <class Number>
Sites<Number> copied(const MixedShape& shape, const SiteParameters<Number>* sites) {
  Sites<Number> to{};
  std::copy_n(sites, shape.sites, to.of);
  return to;
}

}  // namespace

const char* pack_on_gpu(const MixedShape& shape, const SiteParameters<const float>* sites, const PackedSites& to,
                        void* stream) {
  const int64_t all = Counts::all(shape);
  if (shape.sites > kMostSites || all > UINT32_MAX) return "too many weights at once";
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return launch(pack<Number>, all, kThreads, kThreads, stream, shape, copied(shape, sites), Counts(shape),
                  static_cast<Number*>(to.w1), static_cast<Number*>(to.b1), static_cast<Number*>(to.w2), to.gate_layer);
  });
}

const char* unpack_on_gpu(const MixedShape& shape, const PackedGradients& from, const SiteParameters<float>* sites,
                          void* stream) {
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return launch(unpack<Number>, Counts::all(shape), kThreads, kThreads, stream, shape, copied(shape, sites),
                  Counts(shape), static_cast<const Number*>(from.w1), from.b1, static_cast<const Number*>(from.w2),
                  from.gate_layer);
  });
}

}  // namespace acm
