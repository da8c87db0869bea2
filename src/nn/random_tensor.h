#pragma once

#include <ATen/core/Tensor.h>

#include "core/random.h"

namespace acm::nn {

// Fill a tensor in place from its stream, element i in row-major order from number i: the same values at any thread
// count.
void fill_uniform(at::Tensor& tensor, StreamKey key, double low, double high);
void fill_normal(at::Tensor& tensor, StreamKey key, double std);  // truncated at two standard deviations

// The keys of each sample's streams of the numbers below at so many sites from the first on, int64 [sites, samples] on
// `device`; the host does not wait.
at::Tensor token_streams(StreamKey key, const at::Tensor& positions, size_t first_site, size_t sites,
                         at::Device device);

// Numbers in (0, 1) for the tokens of a batch, [samples, tokens, columns], float64: keyed by (key, position of the
// sample, site), then token and column, so that neither padding nor the split of the batch changes a token's noise.
// `positions` lie on the host; the numbers are on `device`, and the host does not wait for them.
at::Tensor token_uniform(StreamKey key, const at::Tensor& positions, size_t site, int64_t tokens, int64_t columns,
                         at::Device device = at::kCPU);

}  // namespace acm::nn
