#include "acm/token_order.h"

#include <c10/util/Exception.h>

#include <algorithm>

#include "nn/kernels/feed_forward.h"

namespace acm {

TokenOrder::TokenOrder(std::span<const int64_t> choice, int64_t learners, int64_t learner_width)
    : tokens_(choice.size()) {
  // A counting sort, stable: ends[k + 1] counts the tokens of k, then becomes their end.
  std::vector<size_t> ends(static_cast<size_t>(learners) + 2, 0);
  for (const int64_t count : choice) {
    TORCH_CHECK(count >= 0 && count <= learners, "a token chose ", count, " of ", learners, " learners");
    ++ends[static_cast<size_t>(count) + 1];
  }
  for (size_t k = 1; k < ends.size(); ++k) ends[k] += ends[k - 1];
  std::vector<size_t> next(ends.begin(), ends.end() - 1);
  for (size_t token = 0; token < choice.size(); ++token) {
    tokens_[next[static_cast<size_t>(choice[token])]++] = static_cast<int64_t>(token);
  }
  const auto all = static_cast<int64_t>(choice.size());
  for (int64_t count = learners; count >= 0; --count) {
    const auto begin = static_cast<int64_t>(ends[static_cast<size_t>(count)]);
    const auto size = static_cast<int64_t>(ends[static_cast<size_t>(count) + 1]) - begin;
    if (size == 0) continue;
    const int64_t height = nn::even_height(size, nn::most_block_rows(all, std::max<int64_t>(count, 1) * learner_width));
    for (int64_t first = 0; first < size; first += height) {
      blocks_.push_back({count, {tokens_.data() + begin + first, static_cast<size_t>(std::min(height, size - first))}});
    }
  }
}

}  // namespace acm
