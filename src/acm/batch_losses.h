#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace acm {

// What the losses that speak of the batch need to know of a model's sites.
struct SiteCosts {
  int64_t learners = 0;
  std::vector<int64_t> min_k;         // by site
  std::vector<double> learner_costs;  // p_l: multiply-accumulates of one learner on one token, by site
};

// How many valid tokens of each sample chose each count: mixture [..., samples, tokens, allowed], valid bool
// [samples, tokens] or undefined -> [..., samples, learners + 1], differentiable in the mixture. float64, whole numbers
// going forward.
at::Tensor choice_counts(const at::Tensor& mixture, const at::Tensor& valid, int64_t min_k, int64_t learners);

struct BatchTerms {
  at::Tensor budget, entropy, diversity;  // scalars, as method.md 5 signs them (to be minimised)
  at::Tensor share;                       // scalar: the share of learner cost that budget compares with beta
  at::Tensor sample_shares;               // [samples]: u
};

enum class EntropyBins { kAllowed, kAll };  // kAll: learners + 1 bins at every site (the authors' code)

// The three terms over the global batch: counts [samples, sites, learners + 1], token_counts int64 [samples] (valid
// tokens). Differentiable in counts; whoever holds only some of the samples uses d(terms)/d(counts of its samples) as
// the gradient of its own counts.
BatchTerms batch_terms(const at::Tensor& counts, const at::Tensor& token_counts, const SiteCosts& costs, double beta,
                       EntropyBins bins = EntropyBins::kAllowed);

}  // namespace acm
