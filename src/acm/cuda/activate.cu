#include "acm/cuda/activate.h"

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

}  // namespace acm
