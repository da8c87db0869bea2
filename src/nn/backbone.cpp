#include "nn/backbone.h"

#include <ATen/ops/full.h>

#include "core/error.h"
#include "nn/vit/vit.h"

namespace acm::nn {

size_t site_index(const Backbone& backbone, const std::string& name) {
  std::string known;
  for (size_t i = 0; i < backbone.sites().size(); ++i) {
    const std::string& site = backbone.sites()[i].name;
    if (site == name) return i;
    known += (i == 0 ? "" : ", ") + site;
  }
  throw Error(Fault::kUsage, "cannot find the site '" + name + "': this backbone has " + known);
}

int64_t dense_site_macs_per_token(const Site& site) {
  return site.width * (site.hidden > 0 ? 2 * site.hidden : site.width);
}

int64_t dense_site_macs_per_token(const Backbone& backbone) {
  int64_t macs = 0;
  for (const Site& site : backbone.sites()) macs += dense_site_macs_per_token(site);
  return macs;
}

int64_t dense_macs(const Backbone& backbone, int64_t tokens) {
  return backbone.static_macs(at::full({1}, tokens, at::kLong)).item<int64_t>() +
         tokens * dense_site_macs_per_token(backbone);
}

std::shared_ptr<Backbone> make_backbone(const Json& description) {
  const std::string& family = description.at("family").as_string();
  if (family == "vit") return make_vit(vit_config_from(description));
  throw Error(Fault::kData, "cannot build a backbone of the family '" + family + "': this program knows vit");
}

}  // namespace acm::nn
