#include "acm/cuda/mixed_rows.h"

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "core/philox.h"
#include "core/quotient.h"
#include "nn/cuda/by_scalar_type.h"
#include "nn/cuda/gelu.h"
#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::Chunk;
using nn::first_item;
using nn::Gelu;
using nn::gelu;
using nn::item_distance;
using nn::kAllLanes;
using nn::kLanes;
using nn::launch;

constexpr int kThreads = 256;
constexpr const char* kTooManyRows = "too many rows at once";

// - log(-log(u)). The float nearest to u would lose what keeps u from 1.
__device__ float gumbel(double u) {
  const float exponential = u < 0.5 ? -logf(static_cast<float>(u)) : -log1pf(-static_cast<float>(1 - u));
  return -logf(exponential);
}

// The first of the largest; one that is not a number counts as the largest.
template <int kAllowed>
__device__ int largest(const float (&values)[kAllowed], int64_t count) {
  int best = 0;
  float most = values[0];
#pragma unroll
  for (int i = 1; i < kAllowed; ++i) {
    if (i < count && (values[i] > most || (isnan(values[i]) && !isnan(most)))) {
      best = i;
      most = values[i];
    }
  }
  return best;
}

// `before`: the units of one gate for one row.
template <class Number, int kNumbers, int kAllowed>
__device__ void logits_of(const MixedShape& shape, const float* layer, const Chunk<Number, kNumbers>* before,
                          float (&logits)[kAllowed]) {
  const auto allowed = static_cast<int>(shape.allowed()), units = static_cast<int>(shape.gate_hidden);
#pragma unroll
  for (int i = 0; i < kAllowed; ++i) logits[i] = i < allowed ? layer[i * (units + 1) + units] : 0;
  for (int first = 0; first < units; first += kNumbers) {
    const Chunk<Number, kNumbers> chunk = before[first / kNumbers];
    for (int n = 0; n < kNumbers; ++n) {
      const float x = chunk.of[n], value = shape.gate_gelu ? gelu(x).value : x;
#pragma unroll
      for (int i = 0; i < kAllowed; ++i)
        if (i < allowed) logits[i] += value * layer[i * (units + 1) + first + n];
    }
  }
}

// Site after site, one row of one a thread.
template <class Number, int kNumbers, int kAllowed>
__global__ void decide(MixedShape shape, MixedGates gates, const Number* before, int64_t stride, int64_t rows,
                       MixedChoice to) {
  const int64_t allowed = shape.allowed();
  for (int64_t item = first_item(); item < shape.sites * rows; item += item_distance()) {
    const int64_t site = item / rows, row = item % rows;
    float values[kAllowed];
    logits_of(shape, gates.layer + site * shape.gate_layer(),
              reinterpret_cast<const Chunk<Number, kNumbers>*>(before + row * stride + site * shape.columns()), values);
    const int64_t sample = site * (rows / gates.tokens) + row / gates.tokens;
    const uint64_t key = gates.noise_keys ? static_cast<uint64_t>(gates.noise_keys[sample]) : 0;
#pragma unroll
    for (int i = 0; i < kAllowed; ++i) {
      if (i >= allowed) continue;
      to.logits[item * allowed + i] = values[i];
      if (!gates.noise_keys) continue;
      const auto index = static_cast<uint64_t>(row % gates.tokens * allowed + i);
      values[i] += gumbel(philox_uniform(key, index));
    }
    const int best = largest(values, allowed);
    to.choice[item] = shape.min_k + best;
    if (!to.soft) continue;
    float most = values[0], sum = 0;
#pragma unroll
    for (int i = 1; i < kAllowed; ++i)
      if (i < allowed && values[i] > most) most = values[i];
#pragma unroll
    for (int i = 0; i < kAllowed; ++i) {
      if (i < allowed) values[i] = expf((values[i] - most) / gates.temperature), sum += values[i];
    }
#pragma unroll
    for (int i = 0; i < kAllowed; ++i) {
      if (i >= allowed) continue;
      to.soft[item * allowed + i] = values[i] / sum;
      to.mixture[item * allowed + i] = i == best;
    }
  }
}

// The place in choice [sites, rows] of the site and row that have place `pair` in [rows, sites]. Divisions are slow,
// those of 64 bits slower.
__device__ uint32_t choice_of(const MixedShape& shape, int64_t rows, uint32_t pair) {
  const auto sites = static_cast<uint32_t>(shape.sites);
  if (sites == 1) return pair;
  return pair % sites * static_cast<uint32_t>(rows) + pair / sites;
}

// One chunk a thread, row after row: of each site the learners' chunks, then those of the shares.
template <class Number, int kNumbers>
__global__ void scale(MixedShape shape, const Chunk<Number, kNumbers>* before, const int64_t* choice, int64_t rows,
                      int64_t chunks, Chunk<Number, kNumbers>* scaled) {
  const auto of_row = static_cast<uint32_t>(shape.columns() / kNumbers),
             of_learners = static_cast<uint32_t>(shape.hidden() / kNumbers),
             of_learner = static_cast<uint32_t>(shape.learner_width / kNumbers);
  for (int64_t i = first_item(); i < chunks; i += item_distance()) {
    const uint32_t pair = static_cast<uint32_t>(i) / of_row, at = static_cast<uint32_t>(i) % of_row;
    const int64_t count = choice[choice_of(shape, rows, pair)];
    Chunk<Number, kNumbers> values{};
    if (at >= of_learners) {
      for (int n = 0; n < kNumbers; ++n)
        values.of[n] = static_cast<Number>((at - of_learners) * kNumbers + n < count ? 1.0f : 0.0f);
    } else if (at / of_learner < count) {
      if (before == scaled && !shape.gelu) continue;
      values = before[i];
      if (shape.gelu)
        for (Number& value : values.of) value = static_cast<Number>(gelu(value).value);
    }
    scaled[i] = values;
  }
}

// How the units of a learner lie over threads, in chunks: a slice of them belongs to as many lanes of a warp, a power
// of two, for every `parts`-th row, so that a thread adds up what its columns have over rows.
struct Slices {
  uint32_t slices, lanes, parts;
};

template <class Number, int kNumbers>
__global__ void scale_backward(MixedShape shape, Slices by, Chunk<Number, kNumbers>* gradients,
                               const Chunk<Number, kNumbers>* before, const int64_t* choice, int64_t rows,
                               float* share_gradients, Chunk<float, kNumbers>* bias_gradients) {
  const auto sites = static_cast<uint32_t>(shape.sites), learners = static_cast<uint32_t>(shape.learners),
             of_learner = static_cast<uint32_t>(shape.learner_width / kNumbers), of_learners = of_learner * learners,
             of_row = static_cast<uint32_t>(shape.columns() / kNumbers);
  const uint32_t lane = threadIdx.x % by.lanes, run = static_cast<uint32_t>(first_item()) / by.lanes,
                 runs_of_site = learners * by.slices;
  const uint32_t part = run / (sites * runs_of_site), site = run / runs_of_site % sites,
                 learner = run / by.slices % learners, slice = run % by.slices, at = slice * by.lanes + lane;
  const bool stands = part < by.parts && at < of_learner;
  Chunk<float, kNumbers> sums{};
  // All lanes of a warp take part in its sums, those that have no row too.
  for (uint32_t begin = 0; begin < rows; begin += by.parts) {
    const int64_t row = int64_t{begin} + part, pair = row * sites + site,
                  place = pair * of_row + learner * of_learner + at;
    float share = 0;
    if (stands && row < rows) {
      const bool runs = learner < choice[site * rows + row];
      const Chunk<Number, kNumbers> values = before[place];
      Chunk<Number, kNumbers> of_scaled = gradients[place];
      for (int n = 0; n < kNumbers; ++n) {
        const float x = values.of[n], gradient = of_scaled.of[n];
        const Gelu unit = shape.gelu ? gelu(x) : Gelu{x, 1};
        share += gradient * unit.value;
        const float of_before = runs ? gradient * unit.slope : 0;
        of_scaled.of[n] = static_cast<Number>(of_before);
        sums.of[n] += of_before;
      }
      gradients[place] = of_scaled;
    }
    for (uint32_t other = by.lanes / 2; other > 0; other /= 2) share += __shfl_xor_sync(kAllLanes, share, other);
    if (lane != 0 || part >= by.parts || row >= rows) continue;
    const auto* of_shares = reinterpret_cast<const Number*>(gradients + pair * of_row + of_learners);
    if (slice == 0) share += static_cast<float>(of_shares[learner]);
    share_gradients[(pair * learners + learner) * by.slices + slice] = share;
  }
  if (stands) bias_gradients[(int64_t{part} * sites + site) * of_learners + learner * of_learner + at] = sums;
}

constexpr int kTileUnits = 32;  // of a gate, at once
// What the threads of a block have of their rows. A row is one number longer than it need be: threads then write to
// different banks of memory.
template <int kAllowed>
struct DecidedRows {
  float logits[kDecideRows][kAllowed + 1];                                            // gradients
  float hidden[kDecideRows][kTileUnits + 1], of_hidden[kDecideRows][kTileUnits + 1];  // values, gradients
};

// The gradient with respect to the logits of a row.
template <int kAllowed>
__device__ void logit_gradients(const MixedShape& shape, float temperature, const float* soft, const float* of_mixture,
                                const float* of_shares, int64_t slices, float (&gradients)[kAllowed]) {
  const int64_t allowed = shape.allowed();
  float shares = 0, mean = 0;  // the sum of the gradients of those that run
  int64_t slice = 0;
#pragma unroll
  for (int i = 0; i < kAllowed; ++i) {
    if (i >= allowed) continue;
    if (of_shares)
      for (; slice < (shape.min_k + i) * slices; ++slice) shares += of_shares[slice];
    gradients[i] = shares + (of_mixture ? of_mixture[i] : 0);
    mean += gradients[i] * soft[i];
  }
#pragma unroll
  for (int i = 0; i < kAllowed; ++i) gradients[i] = i < allowed ? (gradients[i] - mean) * soft[i] / temperature : 0;
}

// Of one row, for a tile of a gate's units that begins with number `first`: their values, and the gradients with
// respect to them before the activation.
template <class Number, int kNumbers, int kAllowed>
__device__ void unit_gradients(const MixedShape& shape, const float* layer, const float (&of_logits)[kAllowed],
                               int first, const Chunk<Number, kNumbers>* before, float* values, float* of_values,
                               Chunk<Number, kNumbers>* gradients) {
  const auto allowed = static_cast<int>(shape.allowed()), units = static_cast<int>(shape.gate_hidden);
  for (int at = 0; at < kTileUnits && first + at < units; at += kNumbers) {
    Chunk<Number, kNumbers> chunk = before[(first + at) / kNumbers];
    for (int n = 0; n < kNumbers; ++n) {
      const float x = chunk.of[n];
      const Gelu unit = shape.gate_gelu ? gelu(x) : Gelu{x, 1};
      values[at + n] = unit.value;
      float gradient = 0;
#pragma unroll
      for (int i = 0; i < kAllowed; ++i)
        if (i < allowed) gradient += of_logits[i] * layer[i * (units + 1) + first + at + n];
      of_values[at + n] = gradient * unit.slope;
      chunk.of[n] = static_cast<Number>(of_values[at + n]);
    }
    gradients[(first + at) / kNumbers] = chunk;
  }
}

// A block has kDecideRows rows of one site.
template <class Number, int kNumbers, int kAllowed>
__global__ void decide_backward(MixedShape shape, MixedGates gates, const Number* before, const float* soft,
                                const float* of_mixture, const float* of_shares, int64_t slices, int64_t rows,
                                int64_t parts, Number* gradients, float* sums) {
  __shared__ DecidedRows<kAllowed> mine;
  const auto allowed = static_cast<int>(shape.allowed()), units = static_cast<int>(shape.gate_hidden);
  for (int64_t block = blockIdx.x; block < shape.sites * parts; block += gridDim.x) {
    const int64_t site = block / parts, first_row = block % parts * kDecideRows, row = first_row + threadIdx.x;
    const auto here = static_cast<int>(rows - first_row < kDecideRows ? rows - first_row : kDecideRows);
    const float* layer = gates.layer + site * shape.gate_layer();
    float* to = sums + block * shape.gate_sums();
    const int64_t decided = (site * rows + row) * allowed, pair = row * shape.sites + site,
                  place = pair * shape.columns() + shape.hidden();
    float of_logits[kAllowed] = {};
    if (row < rows) {
      logit_gradients(shape, gates.temperature, soft + decided, of_mixture ? of_mixture + decided : nullptr,
                      of_shares ? of_shares + pair * shape.learners * slices : nullptr, slices, of_logits);
#pragma unroll
      for (int i = 0; i < kAllowed; ++i) mine.logits[threadIdx.x][i] = of_logits[i];
    }
    for (int first = 0; first < units; first += kTileUnits) {
      if (row < rows)
        unit_gradients(shape, layer, of_logits, first, reinterpret_cast<const Chunk<Number, kNumbers>*>(before + place),
                       mine.hidden[threadIdx.x], mine.of_hidden[threadIdx.x],
                       reinterpret_cast<Chunk<Number, kNumbers>*>(gradients + place));
      __syncthreads();
      const int tile = units - first < kTileUnits ? units - first : kTileUnits;
      for (int item = static_cast<int>(threadIdx.x); item < (allowed + 1) * tile;
           item += static_cast<int>(blockDim.x)) {
        const int i = item / tile, unit = item % tile;
        float sum = 0;
        for (int one = 0; one < here; ++one)
          sum += i < allowed ? mine.logits[one][i] * mine.hidden[one][unit] : mine.of_hidden[one][unit];
        to[i * (units + 1) + first + unit] = sum;
      }
      __syncthreads();
    }
    for (int i = static_cast<int>(threadIdx.x); i <= allowed; i += static_cast<int>(blockDim.x)) {
      float sum = 0;
      for (int one = 0; i < allowed && one < here; ++one) sum += mine.logits[one][i];
      to[i * (units + 1) + units] = sum;
    }
    __syncthreads();  // whoever comes next may write
  }
}

Slices slices_of(const MixedShape& shape, int64_t chunks, int64_t rows) {
  constexpr int64_t kAtOnce = 160'000, kLeastRows = 8;  // threads that a large GPU runs; rows of a part
  const auto places = [&](int64_t lanes) { return quotient_up(chunks, lanes) * lanes; };
  int64_t lanes = kLanes;
  while (places(lanes) * 5 > chunks * 6) lanes /= 2;  // at most a sixth of them have no chunk
  const int64_t parts = kAtOnce / (shape.sites * shape.learners * places(lanes));
  return {static_cast<uint32_t>(places(lanes) / lanes), static_cast<uint32_t>(lanes),
          static_cast<uint32_t>(std::max(int64_t{1}, std::min(parts, quotient_up(rows, kLeastRows))))};
}

// Calls run with a constant of at least so many counts: a thread has a number for each in registers.
template <class Run>
const char* by_allowed(int64_t allowed, Run run) {
  if (allowed <= kMostAllowed / 2) return run(std::integral_constant<int, kMostAllowed / 2>{});
  return run(std::integral_constant<int, kMostAllowed>{});
}

// Calls run with a chunk of 16 bytes where a gate's units, and what stands before them in a row, consist of such.
template <class Number, class Run>
const char* by_gate_chunks(const MixedShape& shape, Run run) {
  return nn::by_chunks<Number>(std::gcd(shape.hidden(), shape.gate_hidden), run);
}

}  // namespace

const char* decide_on_gpu(const MixedShape& shape, const MixedGates& gates, const void* before, int64_t stride,
                          int64_t rows, const MixedChoice& to, void* stream) {
  constexpr int kDecideThreads = 128;
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return by_gate_chunks<Number>(shape, [&]<int kNumbers>(Chunk<Number, kNumbers>) {
      return by_allowed(shape.allowed(), [&]<int kAllowed>(std::integral_constant<int, kAllowed>) {
        return launch(decide<Number, kNumbers, kAllowed>, shape.sites * rows, kDecideThreads, kDecideThreads, stream,
                      shape, gates, static_cast<const Number*>(before), stride, rows, to);
      });
    });
  });
}

const char* scale_on_gpu(const MixedShape& shape, const void* before, const int64_t* choice, int64_t rows, void* scaled,
                         void* stream) {
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return nn::by_chunks<Number>(shape.learner_width, [&]<int kNumbers>(Chunk<Number, kNumbers>) -> const char* {
      using Of = Chunk<Number, kNumbers>;
      const int64_t chunks = rows * shape.sites * shape.columns() / kNumbers;
      if (chunks > UINT32_MAX) return kTooManyRows;
      return launch(scale<Number, kNumbers>, chunks, kThreads, kThreads, stream, shape, static_cast<const Of*>(before),
                    choice, rows, chunks, static_cast<Of*>(scaled));
    });
  });
}

ScaleParts scale_parts(const MixedShape& shape, int64_t rows) {
  ScaleParts parts{};
  nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return nn::by_chunks<Number>(shape.learner_width, [&]<int kNumbers>(Chunk<Number, kNumbers>) -> const char* {
      const Slices by = slices_of(shape, shape.learner_width / kNumbers, rows);
      parts = {by.slices, by.parts};
      return nullptr;
    });
  });
  return parts;
}

const char* scale_backward_on_gpu(const MixedShape& shape, void* gradients, const void* before, const int64_t* choice,
                                  int64_t rows, const ScaleGradients& to, void* stream) {
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return nn::by_chunks<Number>(shape.learner_width, [&]<int kNumbers>(Chunk<Number, kNumbers>) -> const char* {
      using Of = Chunk<Number, kNumbers>;
      if (rows > UINT32_MAX / 2) return kTooManyRows;
      const Slices by = slices_of(shape, shape.learner_width / kNumbers, rows);
      const int64_t threads = shape.sites * shape.learners * by.slices * by.lanes * by.parts;
      return launch(scale_backward<Number, kNumbers>, threads, kThreads, kThreads, stream, shape, by,
                    static_cast<Of*>(gradients), static_cast<const Of*>(before), choice, rows, to.shares,
                    reinterpret_cast<Chunk<float, kNumbers>*>(to.biases));
    });
  });
}

const char* decide_backward_on_gpu(const MixedShape& shape, const MixedGates& gates, const void* before,
                                   const float* soft, const float* mixture_gradients, const float* share_gradients,
                                   int64_t rows, void* gradients, float* sums, void* stream) {
  const int64_t parts = quotient_up(rows, kDecideRows), slices = scale_parts(shape, rows).slices;
  return nn::by_scalar_type(shape.type, [&]<class Number>(Number) {
    return by_gate_chunks<Number>(shape, [&]<int kNumbers>(Chunk<Number, kNumbers>) {
      return by_allowed(shape.allowed(), [&]<int kAllowed>(std::integral_constant<int, kAllowed>) {
        return launch(decide_backward<Number, kNumbers, kAllowed>, shape.sites * parts, 1, kDecideRows, stream, shape,
                      gates, static_cast<const Number*>(before), soft, mixture_gradients, share_gradients, slices, rows,
                      parts, static_cast<Number*>(gradients), sums);
      });
    });
  });
}

}  // namespace acm
