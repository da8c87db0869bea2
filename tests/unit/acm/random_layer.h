#pragma once

#include <ATen/ops/empty.h>

#include <memory>

#include "acm/acm_layer.h"
#include "nn/random_tensor.h"

namespace acm::test {

// A layer whose parameters, b2 too, are all different from zero.
inline std::shared_ptr<AcmLayer> random_layer(const AcmShape& shape, at::ScalarType dtype, uint64_t seed = 1) {
  auto layer = std::make_shared<AcmLayer>(shape);
  layer->to(dtype);
  layer->initialise(StreamKey(seed));
  if (layer->b2.defined()) {
    at::Tensor values = layer->b2.detach();
    nn::fill_uniform(values, StreamKey(seed).with("b2"), -1, 1);
  }
  return layer;
}

inline at::Tensor random_tensor(at::IntArrayRef sizes, at::ScalarType dtype, uint64_t seed) {
  at::Tensor values = at::empty(sizes, dtype);
  nn::fill_uniform(values, StreamKey(seed), -2, 2);
  return values;
}

// Largest absolute difference, as a share of the largest expected magnitude.
inline double relative_difference(const at::Tensor& found, const at::Tensor& expected) {
  const double scale = expected.abs().max().item<double>();
  const double difference = (found - expected).abs().max().item<double>();
  return difference == 0 ? 0 : difference / scale;
}

}  // namespace acm::test
