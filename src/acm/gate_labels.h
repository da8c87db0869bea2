#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "acm/acm_layer.h"

namespace acm {

enum class LabelRule { kMarginal, kReference };
LabelRule label_rule_from(const std::string& name);

// d(n) = ||h(z, n) - target||_2 for n = 0..N: tokens and target [rows, width] -> [rows, N + 1]. tokens and target of
// the layer's type or narrower, as a cache stores them.
at::Tensor prefix_distances(const AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& target);

// The count each token should choose (method.md 4), int64 [rows], min_k..N. distances [rows, N + 1].
at::Tensor gate_labels(const at::Tensor& distances, LabelRule rule, int64_t min_k, double tau);

}  // namespace acm
