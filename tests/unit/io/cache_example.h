#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include "io/activation_cache.h"

namespace acm::io {

// Two sites that share an input, one that does not; two segments of 3 and 2 samples of different lengths.
inline CacheLayout example_layout(at::ScalarType dtype = at::kFloat) {
  CacheLayout layout;
  layout.key = Json::object({{"seed", 7}, {"weights", "0123456789abcdef"}});
  layout.sites = {
      {"blocks.0.q", "blocks.0.q", 2, 3}, {"blocks.0.k", "blocks.0.q", 2, 1}, {"blocks.0.ffn", "blocks.0.ffn", 4, 4}};
  layout.dtype = dtype;
  layout.samples = 5;
  layout.segment_samples = 3;
  return layout;
}

// Values that differ by segment, site and place.
inline SegmentData example_data(const CacheLayout& layout, int64_t segment) {
  SegmentData data;
  data.offsets = segment == 0 ? at::tensor({0, 2, 2, 5}, at::kLong) : at::tensor({0, 1, 4}, at::kLong);
  const int64_t rows = data.offsets[-1].item<int64_t>();
  double first = 0.25 + 100.0 * static_cast<double>(segment);
  const auto values = [&](int64_t width) {
    first += 10;
    return at::arange(rows * width, at::kDouble).add(first).view({rows, width}).to(layout.dtype);
  };
  for (const CachedSite& site : layout.sites) {
    data.inputs.push_back(site.input_of == site.name ? values(site.input_width) : at::Tensor());
    data.outputs.push_back(values(site.output_width));
  }
  return data;
}

}  // namespace acm::io
