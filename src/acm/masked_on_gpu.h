#pragma once

#include <span>
#include <vector>

#include "acm/gated_on_gpu.h"

namespace acm {

// run_masked_on_gpu() (mixed_on_gpu.h) by products and gates of our own (cuda/masked_products.h): in bfloat16 on a GPU
// of compute capability 9.0, three kernels for all sites together.

// Whether it can run them; sites of equal shapes, of which `site` is one.
bool has_own_masked_products(const at::Tensor& tokens, const GatedSite& site);
std::vector<GatedPass> run_masked_by_own_products(const at::Tensor& tokens, std::span<const GatedSite> sites,
                                                  KeptTensors& kept, const std::vector<at::Tensor>& choices);

}  // namespace acm
