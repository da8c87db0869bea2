#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace acm {

// Between the two matrices of a learner: exact (erf) GELU, or nothing.
enum class Activation { kGelu, kIdentity };
at::Tensor apply(Activation activation, const at::Tensor& hidden);
std::string to_string(Activation activation);         // "gelu", "identity"
Activation activation_from(const std::string& name);  // Error(kUsage) for another name

}  // namespace acm
