#include "acm/cost.h"

#include <ATen/ops/tensor.h>

#include <numeric>

namespace acm {
namespace {

int64_t rounded_quotient(int64_t dividend, int64_t divisor) { return (2 * dividend + divisor) / (2 * divisor); }

}  // namespace

int64_t learner_width(nn::SiteKind kind, int64_t width, int64_t hidden, int64_t learners) {
  if (kind == nn::SiteKind::kFeedForward) return rounded_quotient(hidden, learners);
  return rounded_quotient(width * width + width, learners * (2 * width + 1));
}

int64_t learner_macs_per_token(const AcmShape& shape) { return 2 * shape.width * shape.learner_width; }

int64_t gate_macs_per_token(int64_t width, int64_t allowed, const GateConfig& gate) {
  if (gate.depth == 1) return width * allowed;
  return gate.hidden * (width + (gate.depth - 2) * gate.hidden + allowed);
}

CostModel cost_model(nn::Backbone& model) {
  CostModel costs;
  const auto& sites = model.sites();
  for (size_t i = 0; i < sites.size(); ++i) {
    const nn::TokenModule& module = model.at(sites[i]);
    const auto* layer = dynamic_cast<const AcmLayer*>(&module);
    if (!layer) {
      costs.kept_site_macs += module.macs_per_token();
      continue;
    }
    TORCH_CHECK(costs.sites.empty() || costs.learners == layer->shape().learners,
                "all sites of a model have equally many learners");
    costs.learners = layer->shape().learners;
    costs.sites.push_back(i);
    costs.learner_costs.push_back(learner_macs_per_token(layer->shape()));
    costs.gate_costs.push_back(layer->gate() ? layer->gate()->macs_per_token() : 0);
    costs.least_learners.push_back(layer->shape().min_k);
  }
  return costs;
}

at::Tensor sample_macs(const CostModel& model, const at::Tensor& chosen, const at::Tensor& token_counts,
                       const at::Tensor& static_macs) {
  const int64_t per_token = std::accumulate(model.gate_costs.begin(), model.gate_costs.end(), model.kept_site_macs);
  const at::Tensor learner_costs = at::tensor(model.learner_costs).to(chosen.options());
  return static_macs + token_counts * per_token + (chosen * learner_costs).sum(1);
}

double learner_share(const CostModel& model, const at::Tensor& chosen, int64_t tokens) {
  if (model.sites.empty()) return 1;
  double run = 0, all = 0;
  for (size_t i = 0; i < model.sites.size(); ++i) {
    const auto cost = static_cast<double>(model.learner_costs[i]);
    run += cost * chosen[static_cast<int64_t>(i)].item<double>();
    all += cost * static_cast<double>(model.learners * tokens);
  }
  return run / all;
}

double least_learner_share(const CostModel& model) { return learner_share(model, at::tensor(model.least_learners), 1); }

}  // namespace acm
