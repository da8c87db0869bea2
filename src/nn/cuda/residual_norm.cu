#include "nn/cuda/residual_norm.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "nn/cuda/chunk.h"
#include "nn/cuda/launch.h"

namespace acm::nn {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kLanes;

// Which part of a row a thread holds in registers: every threads_of_row-th chunk, at most `chunks`. A block has as many
// rows at a time as its threads allow.
template <int threads_of_row, int chunks, int numbers>
struct RowSplit {
  static constexpr int kThreadsOfRow = threads_of_row, kChunks = chunks, kNumbers = numbers;
  static constexpr int kRowsOfBlock = kThreads / kThreadsOfRow;
  // The blocks of norm_backward, whose threads hold four such parts, for which a multiprocessor has registers; norm,
  // whose threads hold two, runs one more.
  static constexpr int kBlocksAtOnce = kChunks * kNumbers <= 24 ? 2 : 1;
};

template <class Split>
struct Held {
  float of[Split::kChunks][Split::kNumbers];
};

// Of all rows, those of this thread begin at first_row() and lie row_distance() apart.
template <class Split>
__device__ int64_t first_row() {
  return static_cast<int64_t>(blockIdx.x) * Split::kRowsOfBlock + threadIdx.x / Split::kThreadsOfRow;
}
template <class Split>
__device__ int64_t row_distance() {
  return static_cast<int64_t>(gridDim.x) * Split::kRowsOfBlock;
}

// Calls act(its index among those that this thread holds, its place in the row) for each chunk that this thread holds
// of a row of `chunks`.
template <class Split, class Act>
__device__ void for_each_chunk(int chunks, Act act) {
  for (int i = 0; i < Split::kChunks; ++i) {
    const int place = static_cast<int>(threadIdx.x) % Split::kThreadsOfRow + i * Split::kThreadsOfRow;
    if (place < chunks) act(i, place);
  }
}

template <class Split, class Act>
__device__ void for_each_number(int chunks, Act act) {
  for_each_chunk<Split>(chunks, [&](int i, int place) {
    for (int n = 0; n < Split::kNumbers; ++n) act(i, n, place);
  });
}

// Calls run with a number of the type; on the device, so that kernels are not compiled for all pairs of types.
template <class Run>
__device__ void by_type(at::ScalarType type, Run run) {
  if (type == at::kFloat) run(0.0f);
  if (type == at::kBFloat16) run(c10::BFloat16());
  if (type == at::kHalf) run(c10::Half());
}

template <class Split>
__device__ Chunk<float, Split::kNumbers> chunk_of(const float* numbers, int place) {
  return reinterpret_cast<const Chunk<float, Split::kNumbers>*>(numbers)[place];
}

template <class Split>
__device__ Held<Split> read(const void* rows, at::ScalarType type, int64_t row, int chunks) {
  Held<Split> held{};
  by_type(type, [&]<class Number>(Number) {
    const auto* from = static_cast<const Chunk<Number, Split::kNumbers>*>(rows) + row * chunks;
    for_each_chunk<Split>(chunks, [&](int i, int place) {
      const auto chunk = from[place];
      for (int n = 0; n < Split::kNumbers; ++n) held.of[i][n] = chunk.of[n];
    });
  });
  return held;
}

template <class Split>
__device__ void write(const Held<Split>& held, void* rows, at::ScalarType type, int64_t row, int chunks) {
  by_type(type, [&]<class Number>(Number) {
    auto* to = static_cast<Chunk<Number, Split::kNumbers>*>(rows) + row * chunks;
    for_each_chunk<Split>(chunks, [&](int i, int place) {
      Chunk<Number, Split::kNumbers> chunk;
      for (int n = 0; n < Split::kNumbers; ++n) chunk.of[n] = static_cast<Number>(held.of[i][n]);
      to[place] = chunk;
    });
  });
}

// Over all threads of a row, which call it together.
template <class Split>
__device__ float sum_over_row(float value) {
  for (int distance = kLanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  if constexpr (Split::kThreadsOfRow > kLanes) {
    __shared__ float of_warps[kWarps];
    __syncthreads();  // somebody may still read the sums before
    if (threadIdx.x % kLanes == 0) of_warps[threadIdx.x / kLanes] = value;
    __syncthreads();
    value = 0;
    for (int warp = 0; warp < kWarps; ++warp) value += of_warps[warp];
  }
  return value;
}

template <class Split>
__global__ __launch_bounds__(kThreads, Split::kBlocksAtOnce + 1) void norm(NormForward pass, int chunks) {
  const auto width = static_cast<float>(pass.width);
  for (int64_t row = first_row<Split>(); row < pass.rows; row += row_distance<Split>()) {
    Held<Split> values = read<Split>(pass.tokens, at::kFloat, row, chunks);
    if (pass.update != nullptr) {
      const Held<Split> update = read<Split>(pass.update, pass.update_type, row, chunks);
      for_each_number<Split>(chunks, [&](int i, int n, int) { values.of[i][n] += update.of[i][n]; });
      write(values, pass.sum, at::kFloat, row, chunks);
    }
    float sum = 0, squares = 0;
    for_each_number<Split>(chunks, [&](int i, int n, int) { sum += values.of[i][n]; });
    const float mean = sum_over_row<Split>(sum) / width;
    for_each_number<Split>(chunks, [&](int i, int n, int) {
      values.of[i][n] -= mean;
      squares += values.of[i][n] * values.of[i][n];
    });
    const float scale = 1 / sqrtf(sum_over_row<Split>(squares) / width + pass.eps);
    for_each_chunk<Split>(chunks, [&](int i, int place) {
      const auto weight = chunk_of<Split>(pass.weight, place), bias = chunk_of<Split>(pass.bias, place);
      for (int n = 0; n < Split::kNumbers; ++n) values.of[i][n] = values.of[i][n] * scale * weight.of[n] + bias.of[n];
    });
    write(values, pass.normalised, pass.normalised_type, row, chunks);
    if (threadIdx.x % Split::kThreadsOfRow == 0) {
      pass.statistics[2 * row] = mean;
      pass.statistics[2 * row + 1] = scale;
    }
  }
}

// Writes the sum of what the rows of the block hold, added in their order: it does not depend on who is first.
template <class Split>
__device__ void write_block_sum(const Held<Split>& held, float* to, int chunks) {
  using Numbers = Chunk<float, Split::kNumbers>;
  __shared__ Numbers sums[Split::kThreadsOfRow * Split::kChunks];
  for (unsigned row = 0; row < Split::kRowsOfBlock; ++row) {
    if (threadIdx.x / Split::kThreadsOfRow == row)
      for_each_number<Split>(chunks, [&](int i, int n, int place) {
        sums[place].of[n] = row == 0 ? held.of[i][n] : sums[place].of[n] + held.of[i][n];
      });
    __syncthreads();
  }
  for (int place = static_cast<int>(threadIdx.x); place < chunks; place += kThreads)
    reinterpret_cast<Numbers*>(to)[place] = sums[place];
  __syncthreads();  // whoever comes next may write
}

template <class Split>
__global__ __launch_bounds__(kThreads, Split::kBlocksAtOnce) void norm_backward(NormBackward pass, int chunks) {
  const auto width = static_cast<float>(pass.width);
  Held<Split> of_weight{}, of_bias{};
  for (int64_t row = first_row<Split>(); row < pass.rows; row += row_distance<Split>()) {
    Held<Split> values = read<Split>(pass.sum, at::kFloat, row, chunks);
    Held<Split> gradients = read<Split>(pass.of_normalised, pass.normalised_type, row, chunks);
    const float mean = pass.statistics[2 * row], scale = pass.statistics[2 * row + 1];
    float sum = 0, product = 0;
    for_each_chunk<Split>(chunks, [&](int i, int place) {
      const auto weight = chunk_of<Split>(pass.weight, place);
      for (int n = 0; n < Split::kNumbers; ++n) {
        float &value = values.of[i][n], &gradient = gradients.of[i][n];
        value = (value - mean) * scale;
        of_weight.of[i][n] += gradient * value;
        of_bias.of[i][n] += gradient;
        gradient *= weight.of[n];
        sum += gradient;
        product += gradient * value;
      }
    });
    sum = sum_over_row<Split>(sum) / width;
    product = sum_over_row<Split>(product) / width;
    for_each_number<Split>(chunks, [&](int i, int n, int) {
      gradients.of[i][n] = scale * (gradients.of[i][n] - sum - values.of[i][n] * product);
    });
    if (pass.of_sum != nullptr) {
      const Held<Split> of_sum = read<Split>(pass.of_sum, at::kFloat, row, chunks);
      for_each_number<Split>(chunks, [&](int i, int n, int) { gradients.of[i][n] += of_sum.of[i][n]; });
    }
    write(gradients, pass.of_tokens, at::kFloat, row, chunks);
    if (pass.of_update != nullptr) write(gradients, pass.of_update, pass.update_type, row, chunks);
  }
  float* part = pass.parts + static_cast<int64_t>(blockIdx.x) * 2 * pass.width;
  write_block_sum(of_weight, part, chunks);
  write_block_sum(of_bias, part + pass.width, chunks);
}

// Calls run with the split for rows of that width, and the chunks of a row: 16 bytes of float32 where rows consist of
// such and what is read begins with one (as all does that is new), else single numbers.
template <class Run>
const char* by_split(int64_t width, std::initializer_list<const void*> pointers, Run run) {
  constexpr int64_t kNumbers = 4;
  const bool aligned = std::ranges::all_of(
      pointers, [](const void* at) { return reinterpret_cast<uintptr_t>(at) % (kNumbers * sizeof(float)) == 0; });
  const int chunks = static_cast<int>(width / kNumbers);
  if (aligned && width % kNumbers == 0) {
    if (chunks <= kLanes * 3) return run(RowSplit<kLanes, 3, kNumbers>{}, chunks);
    if (chunks <= kLanes * 6) return run(RowSplit<kLanes, 6, kNumbers>{}, chunks);
    if (chunks <= kLanes * 8) return run(RowSplit<kLanes, 8, kNumbers>{}, chunks);
    if (chunks <= kThreads * 2) return run(RowSplit<kThreads, 2, kNumbers>{}, chunks);
    if (chunks <= kThreads * 8) return run(RowSplit<kThreads, 8, kNumbers>{}, chunks);
  }
  if (width <= kLanes * 32) return run(RowSplit<kLanes, 32, 1>{}, static_cast<int>(width));
  if (width <= kWidestNorm) return run(RowSplit<kThreads, 32, 1>{}, static_cast<int>(width));
  return "rows are too wide";
}

// Rows of a block that finds gradients: few blocks, of which each leaves a part of the sums over rows, all of them at
// once on a GPU of 132 multiprocessors.
int64_t rows_of_part(int64_t rows) {
  constexpr int64_t kFewest = 32, kMostParts = int64_t{2} * 132;
  return std::max(kFewest, quotient_up(rows, kMostParts));
}

}  // namespace

const char* norm_on_gpu(const NormForward& pass, void* stream) {
  const auto pointers = {static_cast<const void*>(pass.tokens), static_cast<const void*>(pass.weight),
                         static_cast<const void*>(pass.bias), pass.update};
  return by_split(pass.width, pointers, [&]<class Split>(Split, int chunks) {
    return launch(norm<Split>, pass.rows, Split::kRowsOfBlock, kThreads, stream, pass, chunks);
  });
}

int64_t norm_parts(int64_t rows) { return quotient_up(rows, rows_of_part(rows)); }

const char* norm_backward_on_gpu(const NormBackward& pass, void* stream) {
  const auto pointers = {static_cast<const void*>(pass.sum), static_cast<const void*>(pass.weight),
                         static_cast<const void*>(pass.of_sum), pass.of_normalised};
  return by_split(pass.width, pointers, [&]<class Split>(Split, int chunks) {
    return launch(norm_backward<Split>, pass.rows, rows_of_part(pass.rows), kThreads, stream, pass, chunks);
  });
}

}  // namespace acm::nn
