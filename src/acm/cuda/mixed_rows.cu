#include "acm/cuda/mixed_rows.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <type_traits>

#include "core/philox.h"
#include "core/quotient.h"
#include "nn/cuda/chunk.h"
#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::Chunk;
using nn::launch;

constexpr int kThreads = 256, kLanes = 32;
constexpr unsigned kAllLanes = 0xffffffff;

// GELU and its slope share one exponential: the normal distribution by formula 26.2.17 of Abramowitz and Stegun, off by
// at most 7.5e-8. With erff and expf the kernels that use it took longer than memory does.
struct Gelu {
  float value, slope;
};
__device__ Gelu gelu(float x) {
  const float density = 0.39894228f * __expf(-0.5f * x * x), t = __fdividef(1.0f, 1.0f + 0.2316419f * fabsf(x));
  const float tail =
      density * t * (0.31938153f + t * (-0.356563782f + t * (1.781477937f + t * (-1.821255978f + t * 1.330274429f))));
  const float probability = x < 0 ? tail : 1 - tail;
  return {x * probability, probability + x * density};
}

// - log(-log(u)). The float nearest to u would lose what keeps u from 1.
__device__ float gumbel(double u) {
  const float exponential = u < 0.5 ? -logf(static_cast<float>(u)) : -log1pf(-static_cast<float>(1 - u));
  return -logf(exponential);
}

__device__ int64_t first_item() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ int64_t item_distance() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// Number `column` of row `row` of the first matrix, and of its row of biases, which is row D.
__device__ float first_weight(const MixedShape& shape, const MixedWeights& from, int64_t row, int64_t column) {
  const int64_t gate = column - shape.hidden();
  if (row == shape.width) return gate < 0 ? from.b1[column] : gate < shape.gate_hidden ? from.gate_b1[gate] : 0;
  if (gate < 0) return from.w1[row * shape.hidden() + column];
  return gate < shape.gate_hidden ? from.gate_w1[gate * shape.width + row] : 0;
}

__device__ float second_weight(const MixedShape& shape, const MixedWeights& from, int64_t row, int64_t column) {
  const int64_t learner = row - shape.hidden();
  if (learner < 0) return from.w2[row * shape.width + column];
  return learner < shape.learners && from.b2 ? from.b2[learner * shape.width + column] : 0;
}

template <class Number>
__global__ void pack(MixedShape shape, MixedWeights from, Number* w1, Number* b1, Number* w2) {
  const int64_t columns = shape.columns(), firsts = (shape.width + 1) * columns, all = firsts + columns * shape.width;
  for (int64_t i = first_item(); i < all; i += item_distance()) {
    if (i >= firsts) {
      const int64_t at = i - firsts;
      w2[at] = static_cast<Number>(second_weight(shape, from, at / shape.width, at % shape.width));
    } else {
      const int64_t row = i / columns, column = i % columns;
      (row == shape.width ? b1[column] : w1[i]) = static_cast<Number>(first_weight(shape, from, row, column));
    }
  }
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

template <class Number, int kAllowed>
__device__ void logits_of(const MixedShape& shape, const MixedGate& gate, const Number* before,
                          float (&logits)[kAllowed]) {
  const int64_t allowed = shape.allowed();
#pragma unroll
  for (int i = 0; i < kAllowed; ++i) logits[i] = i < allowed ? gate.b2[i] : 0;
  for (int64_t unit = 0; unit < shape.gate_hidden; ++unit) {
    const float x = before[unit], value = shape.gate_gelu ? gelu(x).value : x;
#pragma unroll
    for (int i = 0; i < kAllowed; ++i)
      if (i < allowed) logits[i] += value * gate.w2[i * shape.gate_hidden + unit];
  }
}

template <class Number, int kAllowed>
__global__ void decide(MixedShape shape, MixedGate gate, const Number* before, int64_t stride, int64_t rows,
                       float* logits, float* soft, float* mixture, int64_t* choice) {
  const int64_t allowed = shape.allowed();
  for (int64_t row = first_item(); row < rows; row += item_distance()) {
    float values[kAllowed];
    logits_of(shape, gate, before + row * stride, values);
    const uint64_t key = gate.noise_keys ? static_cast<uint64_t>(gate.noise_keys[row / gate.tokens]) : 0;
#pragma unroll
    for (int i = 0; i < kAllowed; ++i) {
      if (i >= allowed) continue;
      logits[row * allowed + i] = values[i];
      if (!gate.noise_keys) continue;
      const auto index = static_cast<uint64_t>(row % gate.tokens * allowed + i);
      values[i] += gumbel(philox_uniform(key, index));
    }
    const int best = largest(values, allowed);
    choice[row] = shape.min_k + best;
    if (!soft) continue;
    float most = values[0], sum = 0;
#pragma unroll
    for (int i = 1; i < kAllowed; ++i)
      if (i < allowed && values[i] > most) most = values[i];
#pragma unroll
    for (int i = 0; i < kAllowed; ++i) {
      if (i < allowed) values[i] = expf((values[i] - most) / gate.temperature), sum += values[i];
    }
#pragma unroll
    for (int i = 0; i < kAllowed; ++i) {
      if (i >= allowed) continue;
      soft[row * allowed + i] = values[i] / sum;
      mixture[row * allowed + i] = i == best;
    }
  }
}

// One chunk a thread, row after row: the learners' chunks, then those of the shares.
template <class Number, int kNumbers>
__global__ void scale(MixedShape shape, const Chunk<Number, kNumbers>* before, const int64_t* choice, int64_t chunks,
                      Chunk<Number, kNumbers>* scaled) {
  const auto of_row = static_cast<uint32_t>(shape.columns() / kNumbers),
             of_learners = static_cast<uint32_t>(shape.hidden() / kNumbers),
             of_learner = static_cast<uint32_t>(shape.learner_width / kNumbers);
  for (int64_t i = first_item(); i < chunks; i += item_distance()) {
    const uint32_t row = static_cast<uint32_t>(i) / of_row, at = static_cast<uint32_t>(i) % of_row;  // 64 bits are slow
    const int64_t count = choice[row];
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

// `lanes` of a warp, a power of two, have the units of one learner of one row.
template <class Number, int kNumbers>
__global__ void scale_backward(MixedShape shape, Chunk<Number, kNumbers>* gradients,
                               const Chunk<Number, kNumbers>* before, const int64_t* choice, int64_t pairs, int lanes,
                               float* share_gradients) {
  const int64_t of_row = shape.columns() / kNumbers, of_learners = shape.hidden() / kNumbers;
  const auto of_learner = static_cast<int>(shape.learner_width / kNumbers),
             lane = static_cast<int>(threadIdx.x) % lanes;
  const int64_t pairs_of_warp = kLanes / lanes, of_warp = threadIdx.x % kLanes / lanes;
  // All lanes of a warp take part in its sums, those behind the last pair too.
  for (int64_t first = first_item() / kLanes * pairs_of_warp; first < pairs; first += item_distance() / lanes) {
    const int64_t pair = first + of_warp, row = pair / shape.learners, learner = pair % shape.learners;
    const bool runs = pair < pairs && learner < choice[row];
    float sum = 0;
    for (int i = lane; i < of_learner && pair < pairs; i += lanes) {
      const int64_t at = row * of_row + learner * of_learner + i;
      const Chunk<Number, kNumbers> values = before[at];
      Chunk<Number, kNumbers> of_scaled = gradients[at];
      for (int n = 0; n < kNumbers; ++n) {
        const float x = values.of[n], gradient = of_scaled.of[n];
        const Gelu unit = shape.gelu ? gelu(x) : Gelu{x, 1};
        sum += gradient * unit.value;
        of_scaled.of[n] = static_cast<Number>(runs ? gradient * unit.slope : 0);
      }
      gradients[at] = of_scaled;
    }
    for (int other = lanes / 2; other > 0; other /= 2) sum += __shfl_xor_sync(kAllLanes, sum, other);
    if (lane != 0 || pair >= pairs) continue;
    const auto* of_shares = reinterpret_cast<const Number*>(gradients + row * of_row + of_learners);
    share_gradients[pair] = sum + static_cast<float>(of_shares[learner]);
  }
}

// What the threads of a block have of their rows.
struct DecidedRows {
  // A row longer than it is: threads then write to different banks of memory.
  float logits[kDecideRows][kMostAllowed + 1];     // gradients
  float hidden[kDecideRows][kMostGateHidden + 1];  // the gate's hidden units
};

// The gradient with respect to the logits of a row.
template <int kAllowed>
__device__ void logit_gradients(const MixedShape& shape, const MixedGate& gate, const float* soft,
                                const float* of_mixture, const float* of_shares, float (&gradients)[kAllowed]) {
  const int64_t allowed = shape.allowed();
  float shares = 0, mean = 0;  // the sum of the gradients of those that run
  int64_t learner = 0;
#pragma unroll
  for (int i = 0; i < kAllowed; ++i) {
    if (i >= allowed) continue;
    if (of_shares)
      for (; learner < shape.min_k + i; ++learner) shares += of_shares[learner];
    gradients[i] = shares + (of_mixture ? of_mixture[i] : 0);
    mean += gradients[i] * soft[i];
  }
#pragma unroll
  for (int i = 0; i < kAllowed; ++i)
    gradients[i] = i < allowed ? (gradients[i] - mean) * soft[i] / gate.temperature : 0;
}

template <class Number, int kAllowed>
__global__ void decide_backward(MixedShape shape, MixedGate gate, const Number* before, const float* soft,
                                const float* of_mixture, const float* of_shares, int64_t rows, Number* gradients,
                                float* layer_gradients) {
  __shared__ DecidedRows mine;
  const int64_t allowed = shape.allowed(), columns = shape.columns(), units = shape.gate_hidden;
  for (int64_t block = blockIdx.x; block * kDecideRows < rows; block += gridDim.x) {
    const int64_t row = block * kDecideRows + threadIdx.x;
    const int64_t here = rows - block * kDecideRows < kDecideRows ? rows - block * kDecideRows : kDecideRows;
    if (row < rows) {
      float of_logits[kAllowed];
      logit_gradients(shape, gate, soft + row * allowed, of_mixture ? of_mixture + row * allowed : nullptr,
                      of_shares ? of_shares + row * shape.learners : nullptr, of_logits);
#pragma unroll
      for (int i = 0; i < kAllowed; ++i) mine.logits[threadIdx.x][i] = of_logits[i];
      for (int64_t at = 0; at < columns - shape.hidden(); ++at) {
        float gradient = 0;
        if (at < units) {
          const float x = before[row * columns + shape.hidden() + at];
          const Gelu unit = shape.gate_gelu ? gelu(x) : Gelu{x, 1};
          mine.hidden[threadIdx.x][at] = unit.value;
#pragma unroll
          for (int i = 0; i < kAllowed; ++i)
            if (i < allowed) gradient += of_logits[i] * gate.w2[i * units + at];
          gradient *= unit.slope;
        }
        gradients[row * columns + shape.hidden() + at] = static_cast<Number>(gradient);
      }
    }
    __syncthreads();
    for (int64_t pair = threadIdx.x; pair < allowed * (units + 1); pair += blockDim.x) {
      const int64_t i = pair / (units + 1), unit = pair % (units + 1);
      float sum = 0;
      for (int64_t one = 0; one < here; ++one) sum += mine.logits[one][i] * (unit < units ? mine.hidden[one][unit] : 1);
      layer_gradients[block * allowed * (units + 1) + pair] = sum;
    }
    __syncthreads();
  }
}

// One chunk a thread.
template <class Number, int kNumbers>
__global__ void activate(bool with_gelu, Chunk<Number, kNumbers>* hidden, const Chunk<Number, kNumbers>* bias,
                         uint32_t chunks, uint32_t of_row) {
  for (int64_t i = first_item(); i < chunks; i += item_distance()) {
    Chunk<Number, kNumbers> values = hidden[i];
    const Chunk<Number, kNumbers> added = bias[static_cast<uint32_t>(i) % of_row];
    for (int n = 0; n < kNumbers; ++n) {
      const float x = static_cast<float>(values.of[n]) + static_cast<float>(added.of[n]);
      values.of[n] = static_cast<Number>(with_gelu ? gelu(x).value : x);
    }
    hidden[i] = values;
  }
}

// A thread has one column of chunks of one part; neighbours read what lies side by side.
template <class Number, int kNumbers>
__global__ void sum_rows(const Chunk<Number, kNumbers>* numbers, int64_t rows, int64_t of_row, int64_t parts,
                         Chunk<float, kNumbers>* sums) {
  for (int64_t item = first_item(); item < parts * of_row; item += item_distance()) {
    Chunk<float, kNumbers> sum{};
#pragma unroll 4
    for (int64_t row = item / of_row; row < rows; row += parts) {
      const Chunk<Number, kNumbers> values = numbers[row * of_row + item % of_row];
      for (int n = 0; n < kNumbers; ++n) sum.of[n] += static_cast<float>(values.of[n]);
    }
    sums[item] = sum;
  }
}

// Few enough that each has several chunks to read at once.
int lanes_of_pair(int64_t chunks) {
  constexpr int kChunksOfLane = 3;
  int lanes = 1;
  while (lanes < kLanes && lanes * kChunksOfLane < chunks) lanes *= 2;
  return lanes;
}

// Calls run with a chunk of 16 bytes where so many numbers consist of such, else with a single number. Tensors begin at
// multiples of 16 bytes, and so do rows of whole chunks.
template <class Number, class Run>
const char* by_chunks(int64_t numbers, Run run) {
  constexpr int kMost = 16 / sizeof(Number);
  if (numbers % kMost == 0) return run(Chunk<Number, kMost>{});
  return run(Chunk<Number, 1>{});
}

// Calls run with a constant of at least so many counts: a thread has a number for each in registers.
template <class Run>
const char* by_allowed(int64_t allowed, Run run) {
  if (allowed <= kMostAllowed / 2) return run(std::integral_constant<int, kMostAllowed / 2>{});
  return run(std::integral_constant<int, kMostAllowed>{});
}

// Calls run with a number of the type.
template <class Run>
const char* by_type(at::ScalarType type, Run run) {
  switch (type) {
    case at::kFloat:
      return run(0.0f);
    case at::kBFloat16:
      return run(c10::BFloat16());
    case at::kHalf:
      return run(c10::Half());
    default:
      return "hidden units must be float32, bfloat16 or float16";
  }
}

}  // namespace

const char* pack_on_gpu(const MixedShape& shape, const MixedWeights& from, void* w1, void* b1, void* w2, void* stream) {
  return by_type(shape.type, [&]<class Number>(Number) {
    return launch(pack<Number>, (2 * shape.width + 1) * shape.columns(), kThreads, kThreads, stream, shape, from,
                  static_cast<Number*>(w1), static_cast<Number*>(b1), static_cast<Number*>(w2));
  });
}

const char* decide_on_gpu(const MixedShape& shape, const MixedGate& gate, const void* before, int64_t stride,
                          int64_t rows, float* logits, float* soft, float* mixture, int64_t* choice, void* stream) {
  constexpr int kDecideThreads = 128;
  return by_type(shape.type, [&]<class Number>(Number) {
    return by_allowed(shape.allowed(), [&]<int kAllowed>(std::integral_constant<int, kAllowed>) {
      return launch(decide<Number, kAllowed>, rows, kDecideThreads, kDecideThreads, stream, shape, gate,
                    static_cast<const Number*>(before), stride, rows, logits, soft, mixture, choice);
    });
  });
}

const char* scale_on_gpu(const MixedShape& shape, const void* before, const int64_t* choice, int64_t rows, void* scaled,
                         void* stream) {
  return by_type(shape.type, [&]<class Number>(Number) {
    return by_chunks<Number>(shape.learner_width, [&]<int kNumbers>(Chunk<Number, kNumbers>) -> const char* {
      using Of = Chunk<Number, kNumbers>;
      const int64_t chunks = rows * shape.columns() / kNumbers;
      if (chunks > UINT32_MAX) return "too many rows at once";
      return launch(scale<Number, kNumbers>, chunks, kThreads, kThreads, stream, shape, static_cast<const Of*>(before),
                    choice, chunks, static_cast<Of*>(scaled));
    });
  });
}

const char* scale_backward_on_gpu(const MixedShape& shape, void* gradients, const void* before, const int64_t* choice,
                                  int64_t rows, float* share_gradients, void* stream) {
  return by_type(shape.type, [&]<class Number>(Number) {
    return by_chunks<Number>(shape.learner_width, [&]<int kNumbers>(Chunk<Number, kNumbers>) {
      using Of = Chunk<Number, kNumbers>;
      const int64_t pairs = rows * shape.learners;
      const int lanes = lanes_of_pair(shape.learner_width / kNumbers);
      return launch(scale_backward<Number, kNumbers>, pairs, kThreads / lanes, kThreads, stream, shape,
                    static_cast<Of*>(gradients), static_cast<const Of*>(before), choice, pairs, lanes, share_gradients);
    });
  });
}

const char* decide_backward_on_gpu(const MixedShape& shape, const MixedGate& gate, const void* before,
                                   const float* soft, const float* mixture_gradients, const float* share_gradients,
                                   int64_t rows, void* gradients, float* layer_gradients, void* stream) {
  return by_type(shape.type, [&]<class Number>(Number) {
    return by_allowed(shape.allowed(), [&]<int kAllowed>(std::integral_constant<int, kAllowed>) {
      return launch(decide_backward<Number, kAllowed>, rows, kDecideRows, kDecideRows, stream, shape, gate,
                    static_cast<const Number*>(before), soft, mixture_gradients, share_gradients, rows,
                    static_cast<Number*>(gradients), layer_gradients);
    });
  });
}

const char* activate_on_gpu(at::ScalarType type, bool gelu, void* hidden, const void* bias, int64_t rows,
                            int64_t columns, void* stream) {
  return by_type(type, [&]<class Number>(Number) {
    return by_chunks<Number>(columns, [&]<int kNumbers>(Chunk<Number, kNumbers>) -> const char* {
      using Of = Chunk<Number, kNumbers>;
      const int64_t of_row = columns / kNumbers, chunks = rows * of_row;
      if (chunks > UINT32_MAX) return "too many rows at once";
      return launch(activate<Number, kNumbers>, chunks, kThreads, kThreads, stream, gelu, static_cast<Of*>(hidden),
                    static_cast<const Of*>(bias), static_cast<uint32_t>(chunks), static_cast<uint32_t>(of_row));
    });
  });
}

int64_t row_parts(int64_t rows, int64_t columns) {
  constexpr int64_t kSums = 400'000, kFewestRows = 8;  // sums at once, which fill a GPU; rows of a part
  return std::max(int64_t{1}, std::min(kSums / columns, quotient_up(rows, kFewestRows)));
}

const char* sum_rows_on_gpu(at::ScalarType type, const void* numbers, int64_t rows, int64_t columns, float* parts,
                            void* stream) {
  return by_type(type, [&]<class Number>(Number) {
    return by_chunks<Number>(columns, [&]<int kNumbers>(Chunk<Number, kNumbers>) {
      const int64_t count = row_parts(rows, columns), of_row = columns / kNumbers;
      return launch(sum_rows<Number, kNumbers>, count * of_row, kThreads, kThreads, stream,
                    static_cast<const Chunk<Number, kNumbers>*>(numbers), rows, of_row, count,
                    reinterpret_cast<Chunk<float, kNumbers>*>(parts));
    });
  });
}

}  // namespace acm
