#include "phases/model_sizes.h"

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

// The layer is built for that.
SiteSizes sizes_of(const AcmShape& shape, const GateConfig& gate_config) {
  AcmLayer layer(shape);
  layer.add_gate(gate_config);
  const Gate& gate = *layer.gate();
  const int64_t gate_numbers = numbers_of(gate);
  return {.width = shape.width,
          .hidden = shape.hidden(),
          .learner_macs = shape.learners * learner_macs_per_token(shape),
          .gate_macs = gate.macs_per_token(),
          .first_gate_macs = gate.parameters().front().numel(),
          .learner_numbers = numbers_of(layer) - gate_numbers,
          .gate_numbers = gate_numbers};
}

}  // namespace

ModelShape dense_shape(const Run& run) {
  const auto backbone = teacher_or_new(run);
  const auto teacher = teacher_model(run.settings, run.folder);
  ModelShape shape{.origin = std::filesystem::exists(teacher) ? teacher.string() : "the sizes in [backbone]",
                   .sites = backbone->sites(),
                   .tokens = tokens_of_first_sample(run, *backbone),
                   .numbers = numbers_of(*backbone)};
  shape.macs = nn::dense_macs(*backbone, shape.tokens);
  for (const size_t index : selected_sites(shape.sites, run.settings.acm.sites))
    shape.site_numbers += numbers_of(backbone->at(shape.sites[index]));
  return shape;
}

ModelSizes model_sizes(const Run& run, const ModelShape& dense) {
  const WholeSizes whole{.numbers = dense.numbers,
                         .macs = dense.macs,
                         .frozen_numbers = dense.frozen_numbers,
                         .frozen_macs = dense.frozen_macs};
  ModelSizes sizes{.origin = dense.origin, .tokens = dense.tokens, .dense = whole, .acm = whole};
  sizes.cache = cache_need(run, cache_layout(run, dense.sites, std::string(16, '0')), dense.tokens);
  for (const auto& site : dense.sites) sizes.dense.values += 2 * site.width + site.hidden;
  sizes.acm.values = sizes.dense.values;
  sizes.acm.numbers -= dense.site_numbers;

  const auto selected = selected_sites(dense.sites, run.settings.acm.sites);
  std::vector<AcmShape> shapes;
  for (const size_t index : selected) shapes.push_back(shape_of(dense.sites[index], run.settings.surgery()));
  const auto gate = gates_for(run.settings, shapes, dense.tokens, dense.macs);
  for (size_t i = 0; i < selected.size(); ++i) {
    const auto& replaced = dense.sites[selected[i]];
    const auto& site = sizes.sites.emplace_back(sizes_of(shapes[i], gate));
    sizes.acm.numbers += site.learner_numbers + site.gate_numbers;
    sizes.acm.macs += dense.tokens * (site.learner_macs + site.gate_macs - nn::dense_site_macs_per_token(replaced));
    sizes.acm.values += site.hidden - replaced.hidden;
  }
  return sizes;
}

}  // namespace acm::phases
