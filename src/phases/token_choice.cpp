#include "phases/token_choice.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <vector>

namespace acm::phases {

TokenChoice choose_tokens(const at::Tensor& counts, int64_t position, int64_t most, StreamKey key) {
  if (most == 0 || counts.max().item<int64_t>() <= most) return {{}, counts};
  const at::Tensor plain = counts.contiguous();
  std::vector<int64_t> rows, kept;
  int64_t first = 0;
  for (int64_t i = 0; i < plain.numel(); ++i) {
    const int64_t count = plain.const_data_ptr<int64_t>()[i];
    const Permutation order(count, key.with(static_cast<uint64_t>(position + i)));
    kept.push_back(std::min(count, most));
    const auto begin = static_cast<std::ptrdiff_t>(rows.size());
    for (int64_t j = 0; j < kept.back(); ++j) rows.push_back(first + order(j));
    std::sort(rows.begin() + begin, rows.end());
    first += count;
  }
  return {at::tensor(rows), at::tensor(kept)};
}

}  // namespace acm::phases
