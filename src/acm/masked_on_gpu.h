#pragma once

#include <span>
#include <vector>

#include "acm/gated_on_gpu.h"

namespace acm {

// run_masked_on_gpu() (mixed_on_gpu.h) by products and gates of our own (cuda/masked_products.h): in bfloat16 on a GPU
// of compute capability 9.0, three kernels for all sites together, for sites without output biases and gates of two
// layers and few units. The gates' sums are float32, where those of mixed_on_gpu.h round hidden units to the products'
// type.

// On the current GPU; sites of equal shapes, of which `site` is one.
bool has_own_masked_products(at::ScalarType type, const GatedSite& site);
// parameters: those of the sites, from which what is kept was made.
std::vector<GatedPass> run_masked_by_own_products(const at::Tensor& tokens, std::span<const GatedSite> sites,
                                                  const std::vector<at::Tensor>& parameters, KeptTensors& kept,
                                                  const std::vector<at::Tensor>& choices);

// What runs, int64 [sites, ...] without gaps: what is given (choices, by site), or where that is nothing, what was
// decided.
at::Tensor given_or_decided(const std::vector<at::Tensor>& choices, const at::Tensor& decided);

}  // namespace acm
