#include "acm/cuda/token_rows.h"

#include <initializer_list>

#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::kAllLanes;
using nn::kLanes;
using nn::launch;

constexpr int64_t kMostExact = int64_t{1} << 24;  // float32 counts so far
constexpr int kRowThreads = 128, kSegment = 1024;

// Tokens are ordered by falling class: their count, but those of impossible counts come last, as class 0. A block has
// kSegment tokens, one a thread.
constexpr int kMostClasses = static_cast<int>(kMostOrdered) + 2, kWarps = kSegment / kLanes;
__device__ int class_of(int64_t count, int64_t learners) {
  return count >= 0 && count <= learners ? static_cast<int>(count) + 1 : 0;
}

// How many tokens of each class a block has, by warp; the rank of this thread's token among those of its warp.
struct Counted {
  int of_warp[kWarps][kMostClasses];
};
__device__ int count_by_warp(Counted& counted, int mine, int classes) {
  const unsigned lane = threadIdx.x % kLanes;
  int rank = 0;
  for (int one = 0; one < classes; ++one) {
    const unsigned who = __ballot_sync(kAllLanes, mine == one);
    if (mine == one) rank = __popc(who & ((1u << lane) - 1));
    if (lane == 0) counted.of_warp[threadIdx.x / kLanes][one] = __popc(who);
  }
  __syncthreads();
  return rank;
}

__global__ void count_tokens(const int64_t* choice, int64_t rows, int64_t learners, int64_t* counts) {
  __shared__ Counted counted;
  const auto classes = static_cast<int>(learners) + 2, one = static_cast<int>(threadIdx.x);
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kSegment + threadIdx.x;
  count_by_warp(counted, token < rows ? class_of(choice[token], learners) : -1, classes);
  if (one >= classes) return;
  int64_t sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += counted.of_warp[warp][one];
  counts[static_cast<int64_t>(blockIdx.x) * classes + one] = sum;
}

// Of a class, over blocks: all tokens, and those of the blocks before this one. A warp adds them, in float32.
struct Sums {
  int64_t all, before;
};
__device__ Sums sum_counts(const int64_t* counts, int mine, int classes) {
  float all = 0, before = 0;
  for (unsigned block = threadIdx.x % kLanes; mine < classes && block < gridDim.x; block += kLanes) {
    const auto count = static_cast<float>(counts[static_cast<int64_t>(block) * classes + mine]);
    all += count;
    if (block < blockIdx.x) before += count;
  }
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    all += __shfl_xor_sync(kAllLanes, all, distance);
    before += __shfl_xor_sync(kAllLanes, before, distance);
  }
  return {static_cast<int64_t>(all), static_cast<int64_t>(before)};
}

// counts [blocks, classes], of the kernel before. sizes [learners + 2]: of each count, then of impossible ones.
__global__ void place_tokens(const int64_t* choice, int64_t rows, int64_t learners, const int64_t* counts,
                             int64_t* order, int64_t* sizes) {
  __shared__ Counted counted;
  __shared__ int64_t places[kMostClasses], all[kMostClasses];  // of the first token of the block; tokens
  const auto classes = static_cast<int>(learners) + 2, one = static_cast<int>(threadIdx.x);
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kSegment + threadIdx.x;
  const int mine = token < rows ? class_of(choice[token], learners) : -1;
  const int rank = count_by_warp(counted, mine, classes);
  const Sums sums = sum_counts(counts, static_cast<int>(threadIdx.x / kLanes), classes);
  if (threadIdx.x % kLanes == 0 && threadIdx.x / kLanes < static_cast<unsigned>(classes)) {
    all[threadIdx.x / kLanes] = sums.all;
    places[threadIdx.x / kLanes] = sums.before;
  }
  __syncthreads();
  if (one < classes) {
    int64_t dearer = 0;
    for (int other = one + 1; other < classes; ++other) dearer += all[other];
    places[one] += dearer;
    if (blockIdx.x == 0) sizes[one == 0 ? learners + 1 : one - 1] = all[one];
    int before = 0;
    for (int warp = 0; warp < kWarps; ++warp) {
      const int of_warp = counted.of_warp[warp][one];
      counted.of_warp[warp][one] = before;
      before += of_warp;
    }
  }
  __syncthreads();
  if (mine >= 0) order[places[mine] + counted.of_warp[threadIdx.x / kLanes][mine] + rank] = token;
}

// A block moves several rows at once: the places of few would be waited for longer than the rows themselves.
constexpr int kRowsAtOnce = 4;
template <class Chunk>
__global__ void gather(const Chunk* from, const int64_t* order, int64_t rows, int64_t chunks, Chunk* to) {
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * kRowsAtOnce; first < rows;
       first += static_cast<int64_t>(gridDim.x) * kRowsAtOnce)
    for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x) {
      Chunk values[kRowsAtOnce];
#pragma unroll
      for (int row = 0; row < kRowsAtOnce; ++row)
        if (first + row < rows) values[row] = from[order[first + row] * chunks + i];
#pragma unroll
      for (int row = 0; row < kRowsAtOnce; ++row)
        if (first + row < rows) to[(first + row) * chunks + i] = values[row];
    }
}

template <class Chunk>
__global__ void scatter(const Chunk* from, const int64_t* order, int64_t filled, int64_t rows, int64_t chunks,
                        Chunk* to) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x)
    for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x)
      to[order[row] * chunks + i] = row < filled ? from[row * chunks + i] : Chunk{};
}

// Calls run with the largest type of which all of these are multiples: a thread then moves up to 16 bytes at once.
template <class Run>
const char* by_chunks(std::initializer_list<uintptr_t> multiples, Run run) {
  uintptr_t all = 0;
  for (const uintptr_t one : multiples) all |= one;
  if (all % sizeof(uint4) == 0) return run(uint4{});
  if (all % sizeof(uint2) == 0) return run(uint2{});
  if (all % sizeof(unsigned) == 0) return run(unsigned{});
  if (all % sizeof(unsigned short) == 0) return run(static_cast<unsigned short>(0));
  return run(static_cast<unsigned char>(0));
}

uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }
template <class Chunk>
int64_t chunks_of(int64_t bytes) {
  return bytes / static_cast<int64_t>(sizeof(Chunk));
}

}  // namespace

int64_t order_segments(int64_t rows) { return quotient_up(rows, int64_t{kSegment}); }

const char* order_on_gpu(const int64_t* choice, int64_t rows, int64_t learners, int64_t* counts, int64_t* order,
                         int64_t* sizes, void* stream) {
  if (rows > kMostExact) return "too many rows at once";
  const char* failure = launch(count_tokens, rows, kSegment, kSegment, stream, choice, rows, learners, counts);
  if (failure) return failure;
  return launch(place_tokens, rows, kSegment, kSegment, stream, choice, rows, learners, counts, order, sizes);
}

const char* gather_on_gpu(const void* from, const int64_t* order, int64_t rows, int64_t bytes, void* to, void* stream) {
  return by_chunks({address(from), address(to), static_cast<uintptr_t>(bytes)}, [&]<class Chunk>(Chunk) {
    return launch(gather<Chunk>, rows, kRowsAtOnce, kRowThreads, stream, static_cast<const Chunk*>(from), order, rows,
                  chunks_of<Chunk>(bytes), static_cast<Chunk*>(to));
  });
}

const char* scatter_on_gpu(const void* from, const int64_t* order, int64_t filled, int64_t rows, int64_t bytes,
                           void* to, void* stream) {
  return by_chunks({address(from), address(to), static_cast<uintptr_t>(bytes)}, [&]<class Chunk>(Chunk) {
    return launch(scatter<Chunk>, rows, 1, kRowThreads, stream, static_cast<const Chunk*>(from), order, filled, rows,
                  chunks_of<Chunk>(bytes), static_cast<Chunk*>(to));
  });
}

}  // namespace acm
