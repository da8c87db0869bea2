#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace acm {

enum class LabelRule { kMarginal, kReference };
LabelRule label_rule_from(const std::string& name);

// d(n) = ||h(z, n) - target||_2 for n = 0..N: prefixes [rows, N + 1, width], target [rows, width] -> [rows, N + 1].
at::Tensor prefix_distances(const at::Tensor& prefixes, const at::Tensor& target);

// The count each token should choose (method.md 4), int64 [rows], min_k..N. distances [rows, N + 1].
at::Tensor gate_labels(const at::Tensor& distances, LabelRule rule, int64_t min_k, double tau);

}  // namespace acm
