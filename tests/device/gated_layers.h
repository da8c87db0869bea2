#pragma once

#include <memory>
#include <vector>

#include "acm/acm_layer.h"
#include "acm/gated_on_gpu.h"

namespace acm {

using Layers = std::vector<std::shared_ptr<AcmLayer>>;

inline std::vector<GatedSite> sites_of(const Layers& layers) {
  std::vector<GatedSite> sites;
  for (const auto& layer : layers) sites.push_back({layer->weights(), *layer->gate(), layer->shape().min_k});
  return sites;
}

}  // namespace acm
