#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "acm/acm_layer.h"
#include "nn/backbone.h"

namespace acm {

// Width of a learner that costs 1/N of the dense module (method.md 1), halves rounded away from zero.
int64_t learner_width(nn::SiteKind kind, int64_t width, int64_t hidden, int64_t learners);
int64_t learner_macs_per_token(const AcmShape& shape);
int64_t gate_macs_per_token(int64_t width, int64_t allowed, const GateConfig& gate);

// Cost of a model by shapes alone. Dense sites that were not replaced count as static.
struct CostModel {
  std::vector<size_t> sites;            // indices in Backbone::sites() of those replaced
  std::vector<int64_t> learner_costs;   // per token, by replaced site
  std::vector<int64_t> gate_costs;      // per token, by replaced site; 0 without a gate
  int64_t kept_site_macs = 0;           // per token, of sites left dense
  std::vector<int64_t> least_learners;  // that a token may run, by replaced site
  int64_t learners = 0;
};
CostModel cost_model(nn::Backbone& model);

// Multiply-accumulates of each sample: chosen int64 [samples, replaced sites] = sum of k over its valid tokens;
// token_counts int64 [samples]; static_macs int64 [samples] -> int64 [samples].
at::Tensor sample_macs(const CostModel& model, const at::Tensor& chosen, const at::Tensor& token_counts,
                       const at::Tensor& static_macs);

// The share of the learners' cost that ran, which acm.budget speaks of: chosen int64 [replaced sites] = sum of k over
// all of `tokens` tokens. 1 for a dense model.
double learner_share(const CostModel& model, const at::Tensor& chosen, int64_t tokens);
// The same where every token runs as few learners as its site allows.
double least_learner_share(const CostModel& model);

}  // namespace acm
