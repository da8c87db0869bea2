#include "acm/cuda/mixed_rows.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include "nn/cuda/launch.h"

namespace acm {
namespace {

constexpr int kThreads = 128, kLanes = 32;  // a warp has the units of one learner of one row
constexpr unsigned kAllLanes = 0xffffffff;

// Several numbers that are read and written at once.
template <class Number, int kNumbers>
struct alignas(sizeof(Number) * kNumbers) Chunk {
  Number of[kNumbers];
};

__device__ float normal_probability(float x) { return 0.5f * (1 + erff(x * 0.70710678f)); }
__device__ float gelu_slope(float x) { return normal_probability(x) + x * 0.39894228f * expf(-0.5f * x * x); }

// Of all (row, learner) pairs, those of this warp begin at first() and lie distance() apart.
__device__ int64_t first_pair() { return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kLanes; }
__device__ int64_t pair_distance() { return static_cast<int64_t>(gridDim.x) * blockDim.x / kLanes; }

template <class Number, int kNumbers>
__global__ void scale(const Chunk<Number, kNumbers>* before, const float* shares, Chunk<Number, kNumbers>* scaled,
                      int64_t pairs, int64_t chunks, bool gelu) {
  for (int64_t pair = first_pair(); pair < pairs; pair += pair_distance()) {
    const float share = shares[pair];
    for (int64_t i = threadIdx.x % kLanes; i < chunks; i += kLanes) {
      Chunk<Number, kNumbers> values = before[pair * chunks + i];
      for (Number& value : values.of) {
        const float x = value;
        value = static_cast<Number>(share * (gelu ? x * normal_probability(x) : x));
      }
      scaled[pair * chunks + i] = values;
    }
  }
}

template <class Number, int kNumbers>
__global__ void scale_backward(Chunk<Number, kNumbers>* gradients, const Chunk<Number, kNumbers>* before,
                               const float* shares, float* share_gradients, int64_t pairs, int64_t chunks, bool gelu) {
  for (int64_t pair = first_pair(); pair < pairs; pair += pair_distance()) {
    const float share = shares[pair];
    float sum = 0;
    for (int64_t i = threadIdx.x % kLanes; i < chunks; i += kLanes) {
      Chunk<Number, kNumbers> of_scaled = gradients[pair * chunks + i];
      const Chunk<Number, kNumbers> values = before[pair * chunks + i];
      for (int n = 0; n < kNumbers; ++n) {
        const float x = values.of[n], gradient = of_scaled.of[n];
        sum += gradient * (gelu ? x * normal_probability(x) : x);
        of_scaled.of[n] = static_cast<Number>(gradient * share * (gelu ? gelu_slope(x) : 1));
      }
      gradients[pair * chunks + i] = of_scaled;
    }
    for (int distance = kLanes / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(kAllLanes, sum, distance);
    if (threadIdx.x % kLanes == 0) share_gradients[pair] = sum;
  }
}

// Calls run with pointers to chunks of 16 bytes where learners consist of such, else of single numbers.
template <class Number, class Run>
const char* by_chunks(const HiddenRows& shape, const void* first, const void* second, Run run) {
  constexpr int kMost = 16 / sizeof(Number);
  const bool aligned = (reinterpret_cast<uintptr_t>(first) | reinterpret_cast<uintptr_t>(second)) % 16 == 0;
  if (aligned && shape.learner_width % kMost == 0) return run(Chunk<Number, kMost>{}, shape.learner_width / kMost);
  return run(Chunk<Number, 1>{}, shape.learner_width);
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

constexpr int64_t kPairsOfBlock = kThreads / kLanes;

}  // namespace

const char* scale_on_gpu(const HiddenRows& shape, const void* before, const float* shares, void* scaled, void* stream) {
  const int64_t pairs = shape.rows * shape.learners;
  return by_type(shape.type, [&]<class Number>(Number) {
    return by_chunks<Number>(shape, before, scaled, [&]<int kNumbers>(Chunk<Number, kNumbers>, int64_t chunks) {
      using Of = Chunk<Number, kNumbers>;
      return nn::launch(scale<Number, kNumbers>, pairs, kPairsOfBlock, kThreads, stream, static_cast<const Of*>(before),
                        shares, static_cast<Of*>(scaled), pairs, chunks, shape.gelu);
    });
  });
}

const char* scale_backward_on_gpu(const HiddenRows& shape, void* gradients, const void* before, const float* shares,
                                  float* share_gradients, void* stream) {
  const int64_t pairs = shape.rows * shape.learners;
  return by_type(shape.type, [&]<class Number>(Number) {
    return by_chunks<Number>(shape, gradients, before, [&]<int kNumbers>(Chunk<Number, kNumbers>, int64_t chunks) {
      using Of = Chunk<Number, kNumbers>;
      return nn::launch(scale_backward<Number, kNumbers>, pairs, kPairsOfBlock, kThreads, stream,
                        static_cast<Of*>(gradients), static_cast<const Of*>(before), shares, share_gradients, pairs,
                        chunks, shape.gelu);
    });
  });
}

}  // namespace acm
