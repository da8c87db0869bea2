#include "acm/cost.h"
#include "acm/model.h"
#include "core/error.h"

namespace acm {
namespace {

[[noreturn]] void fail_unknown_site(const std::vector<nn::Site>& sites, const std::string& wanted) {
  std::string message = "cannot convert the sites '" + wanted +
                        "': the backbone has none of that kind or name; use ffn, q, k, v, o or one of";
  for (const nn::Site& site : sites) message += " " + site.name;
  throw Error(Fault::kUsage, message);
}

}  // namespace

std::vector<size_t> selected_sites(const std::vector<nn::Site>& sites, const std::vector<std::string>& kinds) {
  std::vector<bool> selected(sites.size(), false);
  for (const std::string& wanted : kinds) {
    bool found = false;
    for (size_t i = 0; i < sites.size(); ++i) {
      if (wanted != nn::to_string(sites[i].kind) && wanted != sites[i].name) continue;
      selected[i] = found = true;
    }
    if (!found) fail_unknown_site(sites, wanted);
  }
  std::vector<size_t> indices;
  for (size_t i = 0; i < sites.size(); ++i) {
    if (selected[i]) indices.push_back(i);
  }
  return indices;
}

AcmShape shape_of(const nn::Site& site, const SurgeryConfig& config) {
  const bool feed_forward = site.kind == nn::SiteKind::kFeedForward;
  AcmShape shape;
  shape.width = site.width;
  shape.learners = config.learners;
  shape.learner_width = learner_width(site.kind, site.width, site.hidden, config.learners);
  shape.min_k = nn::min_learners(site.kind);
  shape.activation = feed_forward ? Activation::kGelu : config.projection_activation;
  shape.output_bias = config.output_bias;
  if (shape.learner_width < 1) {
    throw Error(Fault::kUsage, "cannot cut " + site.name + " into " + std::to_string(config.learners) +
                                   " learners: less than one hidden unit is left for each; use fewer learners");
  }
  return shape;
}

void convert_sites(nn::Backbone& backbone, const SurgeryConfig& config, StreamKey key) {
  const at::Tensor like = backbone.parameters().at(0);
  for (const size_t index : selected_sites(backbone.sites(), config.kinds)) {
    const nn::Site& site = backbone.sites()[index];
    auto layer = std::make_shared<AcmLayer>(shape_of(site, config));
    layer->to(like.device(), like.scalar_type());
    layer->initialise(key.with(site.name));
    backbone.replace(site, layer);
  }
}

void add_gates(nn::Backbone& backbone, const GateConfig& config, StreamKey key) {
  for (const AcmSite& acm : acm_sites(backbone)) {
    acm.layer->add_gate(config);
    acm.layer->gate()->initialise(key.with(acm.site->name));
  }
}

std::vector<AcmSite> acm_sites(nn::Backbone& backbone) {
  std::vector<AcmSite> found;
  const auto& sites = backbone.sites();
  for (size_t i = 0; i < sites.size(); ++i) {
    if (auto* layer = dynamic_cast<AcmLayer*>(&backbone.at(sites[i]))) found.push_back({i, &sites[i], layer});
  }
  return found;
}

}  // namespace acm
