#include "acm/batch_losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>

#include <cmath>

namespace acm {
namespace {

constexpr double kInsideLog = 1e-20;  // the authors' code; its slope at a share of 0 is 46.05 (method.md 5)

// Beside `like`. A device takes them without the host waiting for it, as at::tensor() would.
at::Tensor constants(const std::vector<double>& values, const at::Tensor& like) {
  return at::tensor(values, at::kDouble).to(like.options(), /*non_blocking=*/true);
}

// - mean over samples and sites of H(shares) / log(number of bins). A bin that a site does not allow is empty and adds
// nothing.
at::Tensor entropy_term(const at::Tensor& counts, const at::Tensor& tokens, const SiteCosts& costs, EntropyBins bins) {
  std::vector<double> weights;
  for (const int64_t min_k : costs.min_k) {
    const int64_t classes = costs.learners + 1 - (bins == EntropyBins::kAllowed ? min_k : 0);
    weights.push_back(classes > 1 ? 1.0 / std::log(static_cast<double>(classes)) : 0.0);
  }
  const at::Tensor shares = counts / tokens.view({-1, 1, 1});
  const at::Tensor minus_entropy = (shares * (shares + kInsideLog).log()).sum(-1);  // [samples, sites]
  return (minus_entropy * constants(weights, counts)).mean();
}

}  // namespace

at::Tensor choice_counts(const at::Tensor& mixture, const at::Tensor& valid, int64_t min_k, int64_t learners) {
  TORCH_CHECK(mixture.dim() >= 3 && mixture.size(-1) == learners + 1 - min_k,
              "mixture must be [..., samples, tokens, allowed]");
  const at::Tensor choices = valid.defined() ? mixture * valid.unsqueeze(-1) : mixture;
  return at::constant_pad_nd(choices.sum(-2, false, at::kDouble), {min_k, 0});
}

BatchTerms batch_terms(const at::Tensor& counts, const at::Tensor& token_counts, const SiteCosts& costs, double beta,
                       EntropyBins bins) {
  const int64_t sites = counts.size(1), learners = costs.learners;
  TORCH_CHECK(counts.scalar_type() == at::kDouble && counts.size(2) == learners + 1,
              "counts must be float64 [samples, sites, learners + 1]");
  TORCH_CHECK(
      static_cast<int64_t>(costs.min_k.size()) == sites && static_cast<int64_t>(costs.learner_costs.size()) == sites,
      "costs must speak of every site");
  const at::Tensor tokens = token_counts.to(counts.options());
  const at::Tensor learner_costs = constants(costs.learner_costs, counts);

  // Whole numbers are added first and divided once, so equal shares are equal bits and |0| keeps its slope of 0.
  const at::Tensor chosen = (counts * at::arange(learners + 1, counts.options())).sum(-1);  // [samples, sites]
  BatchTerms terms;
  terms.share = (chosen.sum(0) * learner_costs).sum() / (tokens.sum() * learner_costs.sum() * learners);
  terms.budget = (terms.share - beta).abs();
  terms.entropy = entropy_term(counts, tokens, costs, bins);
  terms.sample_shares = chosen.sum(1) / (tokens * (learners * sites));
  terms.diversity = -(terms.sample_shares.unsqueeze(0) - terms.sample_shares.unsqueeze(1)).abs().mean();
  return terms;
}

}  // namespace acm
