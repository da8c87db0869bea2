#pragma once

#include <ATen/core/Tensor.h>

#include "golden/case.h"

namespace golden {

// Which tokens the case's `lengths` leave valid, bool [samples, tokens]; undefined where the case has no lengths.
at::Tensor valid_tokens(const Case& golden, int64_t tokens);

// [samples, tokens, ...] -> [rows, ...]: the valid tokens in row-major order, all of them where `valid` is undefined.
at::Tensor rows_of(const at::Tensor& tokens, const at::Tensor& valid);

}  // namespace golden
