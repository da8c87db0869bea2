#include "acm/cuda/gate_rows.h"

#include "nn/cuda/by_scalar_type.h"
#include "nn/cuda/gelu.h"
#include "nn/cuda/largest.h"
#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::Chunk;

constexpr int kThreads = 256, kLanes = 32, kRowsOfWarp = 4;
constexpr unsigned kAllLanes = 0xffffffff;
using Units = float[kRowsOfWarp][kMostGateUnits];

// A warp: what its lanes read of the tokens from `first` on, times the first layer.
template <class Number, int kNumbers>
__device__ void multiply(const MixedShape& shape, const GateRows& gate, int64_t first, int64_t rows, Units& units) {
  const int64_t chunks = shape.width / kNumbers;
  const auto *tokens = static_cast<const Chunk<Number, kNumbers>*>(gate.tokens),
             *w1 = static_cast<const Chunk<Number, kNumbers>*>(gate.w1);
  for (int64_t chunk = threadIdx.x % kLanes; chunk < chunks; chunk += kLanes) {
    Chunk<Number, kNumbers> values[kRowsOfWarp] = {};
#pragma unroll
    for (int row = 0; row < kRowsOfWarp; ++row)
      if (first + row < rows) values[row] = tokens[(first + row) * chunks + chunk];
#pragma unroll
    for (int unit = 0; unit < kMostGateUnits; ++unit) {
      if (unit >= shape.gate_hidden) break;
      const Chunk<Number, kNumbers> weights = w1[unit * chunks + chunk];
#pragma unroll
      for (int row = 0; row < kRowsOfWarp; ++row)
        for (int n = 0; n < kNumbers; ++n)
          units[row][unit] += static_cast<float>(values[row].of[n]) * static_cast<float>(weights.of[n]);
    }
  }
}

// A warp: all lanes get the sums of what each has.
__device__ void add_lanes(const MixedShape& shape, Units& units) {
#pragma unroll
  for (auto& row : units)
#pragma unroll
    for (int unit = 0; unit < kMostGateUnits; ++unit) {
      if (unit >= shape.gate_hidden) break;
      for (int other = kLanes / 2; other > 0; other /= 2) row[unit] += __shfl_xor_sync(kAllLanes, row[unit], other);
    }
}

// One row from its hidden units before the activation.
__device__ void choose(const MixedShape& shape, const GateRows& gate, const float (&units)[kMostGateUnits],
                       int64_t row) {
  const auto hidden = static_cast<int>(shape.gate_hidden), allowed = static_cast<int>(shape.allowed());
  float values[kMostGateUnits], logits[kMostAllowed];
#pragma unroll
  for (int unit = 0; unit < kMostGateUnits; ++unit) {
    const float x = unit < hidden ? units[unit] + gate.b1[unit] : 0;
    values[unit] = shape.gate_gelu ? nn::gelu(x).value : x;
  }
#pragma unroll
  for (int i = 0; i < kMostAllowed; ++i) {
    if (i >= allowed) break;
    const float* weights = gate.layer + i * (hidden + 1);
    logits[i] = weights[hidden];
#pragma unroll
    for (int unit = 0; unit < kMostGateUnits; ++unit)
      if (unit < hidden) logits[i] += values[unit] * weights[unit];
    gate.logits[row * allowed + i] = logits[i];
  }
  gate.choice[row] = shape.min_k + nn::largest(logits, allowed);
}

template <class Number, int kNumbers>
__global__ void run_gate(MixedShape shape, GateRows gate, int64_t rows) {
  for (int64_t first = nn::first_item() / kLanes * kRowsOfWarp; first < rows;
       first += nn::item_distance() / kLanes * kRowsOfWarp) {
    Units units = {};
    multiply<Number, kNumbers>(shape, gate, first, rows, units);
    add_lanes(shape, units);
#pragma unroll
    for (int row = 0; row < kRowsOfWarp; ++row)
      if (static_cast<int>(threadIdx.x) % kLanes == row && first + row < rows)
        choose(shape, gate, units[row], first + row);
  }
}

}  // namespace

const char* gate_on_gpu(const MixedShape& shape, const GateRows& gate, int64_t rows, void* stream) {
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return nn::by_chunks<Number>(shape.width, [&]<int kNumbers>(Chunk<Number, kNumbers>) {
      return nn::launch(run_gate<Number, kNumbers>, rows, kThreads / kLanes * kRowsOfWarp, kThreads, stream, shape,
                        gate, rows);
    });
  });
}

}  // namespace acm
