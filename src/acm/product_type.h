#pragma once

#include "acm/gated_execution.h"

namespace acm {

// What products of these tokens are to be computed in: autocast's type where it is on for their device, else their own.
at::ScalarType product_type(const at::Tensor& tokens);

LearnerWeights converted(const LearnerWeights& weights, at::ScalarType type);

}  // namespace acm
