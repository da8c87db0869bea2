#include "acm/cuda/prefix_rows.h"

#include <type_traits>

#include "core/quotient.h"
#include "nn/cuda/by_scalar_type.h"
#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::Chunk;
using nn::first_item;
using nn::item_distance;
using nn::launch;

constexpr int kThreads = 256;
constexpr int64_t kNumbersOfBlock = int64_t{kThreads} * 32;  // of the target

// The sum over the threads of a block, for thread 0.
__device__ double sum_over_block(double mine) {
  __shared__ double sums[kThreads];
  sums[threadIdx.x] = mine;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  return sums[0];
}

// One chunk of a row a thread, of all learners: their errors stay in registers.
template <class Target, int kNumbers, int kMost>
__global__ void prefix_gradients(PrefixRows pass, bool nested, double* squares) {
  using Numbers = Chunk<float, kNumbers>;
  const auto learners = static_cast<int>(pass.learners);
  const int64_t of_row = pass.width / kNumbers, chunks = pass.rows * of_row;
  auto* const outputs = reinterpret_cast<Numbers*>(pass.outputs);
  const auto* const b2 = reinterpret_cast<const Numbers*>(pass.b2);
  double sum = 0;
  for (int64_t i = first_item(); i < chunks; i += item_distance()) {
    Numbers errors[kMost];
#pragma unroll
    for (int n = 0; n < kMost; ++n)
      if (n < learners) errors[n] = outputs[n * chunks + i];
    const auto target = static_cast<const Chunk<Target, kNumbers>*>(pass.target)[i];
    float error[kNumbers], squares_here = 0;
    for (int j = 0; j < kNumbers; ++j) error[j] = -static_cast<float>(target.of[j]);
#pragma unroll
    for (int n = 0; n < kMost; ++n) {
      if (n >= learners) continue;
      for (int j = 0; j < kNumbers; ++j) {
        error[j] += errors[n].of[j];
        if (b2) error[j] += b2[n * of_row + i % of_row].of[j];
        errors[n].of[j] = error[j];
        squares_here += error[j] * error[j];
      }
    }
    sum += squares_here;
    Numbers gradient{};
#pragma unroll
    for (int n = kMost - 1; n >= 0; --n) {
      if (n >= learners) continue;
      for (int j = 0; j < kNumbers; ++j) gradient.of[j] = errors[n].of[j] + (nested ? gradient.of[j] : 0);
      outputs[n * chunks + i] = gradient;
    }
  }
  sum = sum_over_block(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// Calls run with a constant of at least so many learners.
template <class Run>
const char* by_learners(int64_t learners, Run run) {
  if (learners <= 4) return run(std::integral_constant<int, 4>{});
  if (learners <= kMostPrefixes) return run(std::integral_constant<int, static_cast<int>(kMostPrefixes)>{});
  return "too many learners";
}

}  // namespace

int64_t square_parts(const PrefixRows& pass) {
  const int64_t blocks = quotient_up(pass.rows * pass.width, kNumbersOfBlock);
  return blocks < nn::kMostBlocks ? blocks : nn::kMostBlocks;
}

const char* prefix_gradients_on_gpu(const PrefixRows& pass, bool nested, double* squares, void* stream) {
  return nn::by_scalar_type(pass.target_type, [&]<class Target>(Target) {
    return nn::by_chunks<float>(pass.width, [&]<int kNumbers>(Chunk<float, kNumbers>) {
      return by_learners(pass.learners, [&]<int kMost>(std::integral_constant<int, kMost>) {
        return launch(prefix_gradients<Target, kNumbers, kMost>, pass.rows * pass.width, kNumbersOfBlock, kThreads,
                      stream, pass, nested, squares);
      });
    });
  });
}

}  // namespace acm
