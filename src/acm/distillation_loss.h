#pragma once

#include <ATen/core/Tensor.h>

#include "acm/acm_layer.h"

namespace acm {

// nested: gradients through the whole prefix sum (the paper's equation); greedy: the prefix before n is a constant of
// term n.
enum class Objective { kNested, kGreedy };
Objective objective_from(const std::string& name);

// `scale` * sum over n = 1..N, rows and elements of (h(z, n) - target)^2 (method.md 3), differentiable in the layer's
// learners by the closed form of method.md 1, which stores no prefix. tokens and target [rows, width], of the layer's
// type or narrower, as a cache stores them; the caller divides by N, rows and width through `scale`.
at::Tensor distillation_loss(const AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& target,
                             Objective objective, double scale);

}  // namespace acm
