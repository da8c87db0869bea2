#pragma once

#include <ATen/core/Tensor.h>

#include "core/random.h"

namespace acm::phases {

// Which tokens of some samples the cache keeps.
struct TokenChoice {
  at::Tensor rows;    // int64 [kept], ascending: indices into the samples' valid tokens, packed; undefined: all of them
  at::Tensor counts;  // int64 [samples]: kept of each
};

// At most `most` tokens of each sample (0: all), drawn without replacement by (key, position of the sample), the same
// whatever else is in the batch. counts int64 [samples]: valid tokens of each; the first sample stands at `position`
// and the others behind it.
TokenChoice choose_tokens(const at::Tensor& counts, int64_t position, int64_t most, StreamKey key);

}  // namespace acm::phases
