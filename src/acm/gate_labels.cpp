#include "acm/gate_labels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "acm/prefix_kernels.h"
#include "core/error.h"

namespace acm {
namespace {

// Index of the first true column of each row; the number of columns where none is. The lowest index wins among equals
// in argmax.
at::Tensor first_true(const at::Tensor& columns) {
  const at::Tensor beyond = columns.new_ones({columns.size(0), 1});
  return at::cat({columns, beyond}, 1).to(at::kByte).argmax(1);
}

}  // namespace

LabelRule label_rule_from(const std::string& name) {
  if (name == "marginal") return LabelRule::kMarginal;
  if (name == "reference") return LabelRule::kReference;
  throw Error(Fault::kUsage, "cannot use the label rule '" + name + "': it must be \"marginal\" or \"reference\"");
}

at::Tensor prefix_distances(const AcmLayer& layer, const at::Tensor& tokens, const at::Tensor& target) {
  const LearnerWeights weights = layer.weights();
  if (prefix_kernels_apply(tokens, target, weights)) return prefix_distances_by_kernels(tokens, target, weights);
  const auto prefixes = layer.prefixes(tokens.to(weights.w1.scalar_type()));
  return at::linalg_vector_norm(prefixes - target.unsqueeze(-2).to(prefixes.scalar_type()), 2, -1);
}

at::Tensor gate_labels(const at::Tensor& distances, LabelRule rule, int64_t min_k, double tau) {
  const int64_t learners = distances.size(1) - 1;
  TORCH_CHECK(learners >= 1 && min_k >= 0 && min_k <= learners,
              "labels need at least one learner and min_k in 0..learners");
  // Column n: learner n + 1 improves the error too little. x / 0 is infinite and 0 / 0 not a number; neither is below
  // tau.
  const at::Tensor stops = (distances.narrow(1, 0, learners) / distances.narrow(1, 1, learners)).lt(tau);
  if (rule == LabelRule::kMarginal) return first_true(stops.narrow(1, min_k, learners - min_k)) + min_k;
  // The authors' code names the learner that failed, and takes all where that is the first.
  const at::Tensor label = first_true(stops) + 1;
  return label.masked_fill(label.eq(1), learners).clamp(min_k, learners);
}

}  // namespace acm
