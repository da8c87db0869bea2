#include "acm/cuda/token_rows.h"

#include <cmath>
#include <initializer_list>

#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::launch;

constexpr int kThreads = 256, kSortThreads = 512, kRowThreads = 128;

__global__ void choose(const float* logits, int64_t rows, int64_t classes, int64_t least, int64_t* choice) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; row < rows; row += stride) {
    const float* mine = logits + row * classes;
    int64_t best = 0;
    for (int64_t i = 1; i < classes; ++i)
      if (mine[i] > mine[best] || (isnan(mine[i]) && !isnan(mine[best]))) best = i;
    choice[row] = least + best;
  }
}

// The sum of `value` over the threads of the block before this one; `all`: over all of them.
__device__ int64_t sum_before(int64_t value, int64_t* sums, int64_t& all) {
  const unsigned thread = threadIdx.x;
  sums[thread] = value;
  __syncthreads();
  for (unsigned distance = 1; distance < kSortThreads; distance *= 2) {
    const int64_t other = thread < distance ? 0 : sums[thread - distance];
    __syncthreads();
    sums[thread] += other;
    __syncthreads();
  }
  all = sums[kSortThreads - 1];
  const int64_t before = sums[thread] - value;
  __syncthreads();  // whoever comes next may write
  return before;
}

// Block k places the tokens that run k learners; each thread looks at a row of tokens that stand beside each other.
__global__ void order_tokens(const int64_t* choice, int64_t rows, int64_t* order, int64_t* sizes) {
  __shared__ int64_t sums[kSortThreads];
  const int64_t count = blockIdx.x, each = (rows + kSortThreads - 1) / kSortThreads;
  const int64_t first = threadIdx.x * each, end = first + each < rows ? first + each : rows;
  int64_t mine = 0, dearer = 0;
  for (int64_t token = first; token < end; ++token) {
    mine += choice[token] == count;
    dearer += choice[token] > count;
  }
  int64_t all, all_dearer;
  const int64_t before = sum_before(mine, sums, all);
  sum_before(dearer, sums, all_dearer);
  if (threadIdx.x == 0) sizes[count] = all;
  int64_t place = all_dearer + before;
  for (int64_t token = first; token < end; ++token)
    if (choice[token] == count) order[place++] = token;
}

template <class Chunk>
__global__ void gather(const Chunk* from, const int64_t* order, int64_t rows, int64_t chunks, Chunk* to) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x)
    for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x) to[row * chunks + i] = from[order[row] * chunks + i];
}

template <class Chunk>
__global__ void scatter(const Chunk* from, const int64_t* order, int64_t filled, int64_t rows, int64_t chunks,
                        Chunk* to) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x)
    for (int64_t i = threadIdx.x; i < chunks; i += blockDim.x)
      to[order[row] * chunks + i] = row < filled ? from[row * chunks + i] : Chunk{};
}

template <class Chunk>
__global__ void clear_unchosen(Chunk* hidden, const int64_t* choice, int64_t rows, int64_t chunks,
                               int64_t learner_chunks) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x)
    for (int64_t i = choice[row] * learner_chunks + threadIdx.x; i < chunks; i += blockDim.x)
      hidden[row * chunks + i] = Chunk{};
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

const char* choose_on_gpu(const float* logits, int64_t rows, int64_t classes, int64_t least, int64_t* choice,
                          void* stream) {
  return launch(choose, rows, kThreads, kThreads, stream, logits, rows, classes, least, choice);
}

const char* order_on_gpu(const int64_t* choice, int64_t rows, int64_t learners, int64_t* order, int64_t* sizes,
                         void* stream) {
  return launch(order_tokens, learners + 1, 1, kSortThreads, stream, choice, rows, order, sizes);
}

const char* gather_on_gpu(const void* from, const int64_t* order, int64_t rows, int64_t bytes, void* to, void* stream) {
  return by_chunks({address(from), address(to), static_cast<uintptr_t>(bytes)}, [&]<class Chunk>(Chunk) {
    return launch(gather<Chunk>, rows, 1, kRowThreads, stream, static_cast<const Chunk*>(from), order, rows,
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

const char* clear_unchosen_on_gpu(void* hidden, const int64_t* choice, int64_t rows, int64_t bytes,
                                  int64_t learner_bytes, void* stream) {
  const auto multiples = {address(hidden), static_cast<uintptr_t>(bytes), static_cast<uintptr_t>(learner_bytes)};
  return by_chunks(multiples, [&]<class Chunk>(Chunk) {
    return launch(clear_unchosen<Chunk>, rows, 1, kRowThreads, stream, static_cast<Chunk*>(hidden), choice, rows,
                  chunks_of<Chunk>(bytes), chunks_of<Chunk>(learner_bytes));
  });
}

}  // namespace acm
