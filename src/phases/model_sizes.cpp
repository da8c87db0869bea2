#include "phases/model_sizes.h"

#include <ATen/ops/full.h>

#include "acm/cost.h"
#include "acm/model.h"
#include "phases/gating.h"
#include "phases/model_fit.h"

namespace acm::phases {
namespace {

int64_t numbers_of(const torch::nn::Module& module) {
  int64_t numbers = 0;
  for (const auto& parameter : module.parameters()) numbers += parameter.numel();
  return numbers;
}

SiteSizes sizes_of(const AcmLayer& layer) {
  const auto& gate = *layer.gate();
  const int64_t gate_numbers = numbers_of(gate);
  return {.width = layer.shape().width,
          .hidden = layer.shape().hidden(),
          .learner_macs = layer.shape().learners * learner_macs_per_token(layer.shape()),
          .gate_macs = gate.macs_per_token(),
          .first_gate_macs = gate.parameters().front().numel(),
          .learner_numbers = numbers_of(layer) - gate_numbers,
          .gate_numbers = gate_numbers};
}

// Replaces the selected sites, with gates.
void convert(const Run& run, nn::Backbone& backbone) {
  convert_sites(backbone, run.settings.surgery(), run.key());
  std::vector<AcmShape> shapes;
  for (const auto& site : acm_sites(backbone)) shapes.push_back(site.layer->shape());
  add_gates(backbone, gates_for(run, backbone, shapes), run.key());
}

}  // namespace

ModelSizes model_sizes(const Run& run) {
  const auto backbone = teacher_or_new(run);
  backbone->to(run.settings.dtype());
  ModelSizes sizes;
  sizes.tokens = tokens_of_first_sample(run, *backbone);
  sizes.cache = cache_need(run, cache_layout(run, *backbone, std::string(16, '0')), sizes.tokens);
  const auto tokens = at::full({1}, sizes.tokens, at::kLong), outside = backbone->static_macs(tokens);
  sizes.dense = {.numbers = numbers_of(*backbone),
                 .macs = outside.item<int64_t>() + sizes.tokens * nn::dense_site_macs_per_token(*backbone)};
  for (const auto& site : backbone->sites()) sizes.dense.values += 2 * site.width + site.hidden;

  convert(run, *backbone);
  sizes.acm = {.numbers = numbers_of(*backbone), .values = sizes.dense.values};
  for (const auto& [index, site, layer] : acm_sites(*backbone)) {
    sizes.sites.push_back(sizes_of(*layer));
    sizes.acm.values += layer->shape().hidden() - site->hidden;
  }
  const auto costs = cost_model(*backbone);
  const auto every = at::full({1, static_cast<int64_t>(costs.sites.size())}, costs.learners * sizes.tokens, at::kLong);
  sizes.acm.macs = sample_macs(costs, every, tokens, outside).item<int64_t>();
  return sizes;
}

}  // namespace acm::phases
