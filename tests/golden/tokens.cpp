#include "golden/tokens.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

namespace golden {

at::Tensor valid_tokens(const Case& golden, int64_t tokens) {
  if (!golden.has("lengths")) return {};
  return at::arange(tokens, at::kLong).unsqueeze(0) < golden.tensor("lengths").unsqueeze(1);
}

at::Tensor rows_of(const at::Tensor& tokens, const at::Tensor& valid) {
  const at::Tensor rows = tokens.flatten(0, 1);
  return valid.defined() ? rows.index_select(0, valid.flatten().nonzero().squeeze(1)) : rows;
}

}  // namespace golden
