#pragma once

#include <ATen/core/Tensor.h>

#include "io/safetensors.h"

namespace golden {

// Gradient of a scalar for each leaf, by name; zeros where the scalar does not depend on it. The graph is kept.
acm::io::NamedTensors gradients(const at::Tensor& scalar, const acm::io::NamedTensors& leaves);

}  // namespace golden
