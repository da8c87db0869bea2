#include "golden/gradients.h"

#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

namespace golden {

acm::io::NamedTensors gradients(const at::Tensor& scalar, const acm::io::NamedTensors& leaves) {
  std::vector<at::Tensor> inputs;
  for (const auto& [name, leaf] : leaves) inputs.push_back(leaf);
  std::vector<at::Tensor> found(inputs.size());
  if (scalar.requires_grad()) {
    found = torch::autograd::grad({scalar}, inputs, {}, /*retain_graph=*/true, /*create_graph=*/false,
                                  /*allow_unused=*/true);
  }
  acm::io::NamedTensors out;
  size_t index = 0;
  for (const auto& [name, leaf] : leaves) {
    const at::Tensor& gradient = found[index++];
    out[name] = gradient.defined() ? gradient : at::zeros_like(leaf);
  }
  return out;
}

}  // namespace golden
