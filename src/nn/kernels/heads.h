#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/quotient.h"
#include "nn/kernels/feed_forward.h"

namespace acm::nn {

// Pointers to the first number of one head of one sample, whose rows lie `width` apart.
template <typename Number>
struct Head {
  const Number *query, *key, *value;
  float* output;
  int64_t tokens, width, size;                                             // of the head: width / heads
  float scale() const { return 1 / std::sqrt(static_cast<float>(size)); }  // of queries times keys
};

// Queries that go from their weights to their output at once, so that the weights stay in the core's first cache.
constexpr int64_t kQueries = 48;

// Of blocks of queries where they change no bit, because queries do not know of each other: a whole head, whose keys
// are then laid out once, unless there are few heads for many threads.
inline int64_t block_height(int64_t tokens, int64_t heads) {
  constexpr int64_t kBlocksOfThread = 4;
  const int64_t threads = sharing_threads();
  const int64_t parts = threads == 1 ? 1 : quotient_up(kBlocksOfThread * threads, heads);
  return even_height(tokens, std::max(kQueries, quotient_up(tokens, parts)));
}

// attend(head, first query, queries) for the heads of all samples, in blocks of at most `height` queries. All tensors
// [samples, tokens, width].
template <typename Number, typename Attend>
void for_each_head(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& output,
                   int64_t heads, int64_t height, const Attend& attend) {
  const int64_t samples = query.size(0), tokens = query.size(1), width = query.size(2), size = width / heads;
  const int64_t blocks = quotient_up(tokens, height);
  share_among_threads(samples * heads * blocks, [&](int64_t i) {
    const int64_t offset = i / blocks / heads * tokens * width + i / blocks % heads * size, first = i % blocks * height;
    attend(Head<Number>{query.const_data_ptr<Number>() + offset, key.const_data_ptr<Number>() + offset,
                        value.const_data_ptr<Number>() + offset, output.mutable_data_ptr<float>() + offset, tokens,
                        width, size},
           first, std::min(height, tokens - first));
  });
}

}  // namespace acm::nn
