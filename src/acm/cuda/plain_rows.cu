#include "acm/cuda/plain_rows.h"

#include <algorithm>

#include "core/quotient.h"
#include "nn/cuda/by_scalar_type.h"
#include "nn/cuda/gelu.h"
#include "nn/cuda/launch.h"

namespace acm {
namespace {

using nn::Chunk;
using nn::first_item;
using nn::gelu;
using nn::item_distance;
using nn::launch;

constexpr int kThreads = 256;

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

// A thread has one column of chunks of one part; neighbours read what lies side by side. So many reads are under way at
// once: fewer do not keep the memory busy.
constexpr int kReads = 4;
template <class Number, int kNumbers>
__global__ void sum_rows(const Chunk<Number, kNumbers>* numbers, int64_t rows, int64_t of_row, int64_t parts,
                         Chunk<float, kNumbers>* sums) {
  for (int64_t item = first_item(); item < parts * of_row; item += item_distance()) {
    Chunk<float, kNumbers> sum{};
    for (int64_t first = item / of_row; first < rows; first += kReads * parts) {
      Chunk<Number, kNumbers> values[kReads] = {};
#pragma unroll
      for (int i = 0; i < kReads; ++i)
        if (first + i * parts < rows) values[i] = numbers[(first + i * parts) * of_row + item % of_row];
#pragma unroll
      for (const auto& each : values)
        for (int n = 0; n < kNumbers; ++n) sum.of[n] += static_cast<float>(each.of[n]);
    }
    sums[item] = sum;
  }
}

}  // namespace

const char* activate_on_gpu(at::ScalarType type, bool gelu, void* hidden, const void* bias, int64_t rows,
                            int64_t columns, void* stream) {
  return nn::by_scalar_type(type, [&]<class Number>(Number) {
    return nn::by_chunks<Number>(columns, [&]<int kNumbers>(Chunk<Number, kNumbers>) -> const char* {
      using Of = Chunk<Number, kNumbers>;
      const int64_t of_row = columns / kNumbers, chunks = rows * of_row;
      if (chunks > UINT32_MAX) return "too many rows at once";
      return launch(activate<Number, kNumbers>, chunks, kThreads, kThreads, stream, gelu, static_cast<Of*>(hidden),
                    static_cast<const Of*>(bias), static_cast<uint32_t>(chunks), static_cast<uint32_t>(of_row));
    });
  });
}

int64_t row_parts(int64_t rows, int64_t columns) {
  constexpr int64_t kSums = 800'000;  // at once: of bfloat16 numbers by 100,000 threads, which a large GPU runs at once
  return std::max(int64_t{1}, std::min(kSums / columns, quotient_up(rows, int64_t{kReads})));
}

const char* sum_rows_on_gpu(at::ScalarType type, const void* numbers, int64_t rows, int64_t columns, float* parts,
                            void* stream) {
  return nn::by_scalar_type(type, [&]<class Number>(Number) {
    return nn::by_chunks<Number>(columns, [&]<int kNumbers>(Chunk<Number, kNumbers>) {
      const int64_t count = row_parts(rows, columns), of_row = columns / kNumbers;
      return launch(sum_rows<Number, kNumbers>, count * of_row, kThreads, kThreads, stream,
                    static_cast<const Chunk<Number, kNumbers>*>(numbers), rows, of_row, count,
                    reinterpret_cast<Chunk<float, kNumbers>*>(parts));
    });
  });
}

}  // namespace acm
