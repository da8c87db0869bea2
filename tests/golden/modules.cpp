#include "golden/modules.h"

#include <ATen/core/grad_mode.h>

namespace golden {

namespace {

void load_parameters(torch::nn::Module& module, const Case& golden, const std::string& prefix, at::ScalarType dtype) {
  module.to(dtype);
  at::NoGradGuard no_grad;
  for (auto& parameter : module.named_parameters()) parameter.value().copy_(golden.tensor(prefix + parameter.key()));
}

}  // namespace

std::shared_ptr<acm::AcmLayer> load_layer(const Case& golden, const std::string& prefix, int64_t min_k) {
  const at::Tensor w1 = golden.tensor(prefix + "w1");
  acm::AcmShape shape;
  shape.width = w1.size(0);
  shape.learners = golden.config().at("learners").as_int();
  shape.learner_width = w1.size(1) / shape.learners;
  shape.min_k = min_k;
  shape.activation = acm::activation_from(golden.config().at("activation").as_string());
  shape.output_bias = golden.has(prefix + "b2");
  auto layer = std::make_shared<acm::AcmLayer>(shape);
  load_parameters(*layer, golden, prefix, w1.scalar_type());
  return layer;
}

std::shared_ptr<acm::Gate> load_gate(const Case& golden, const std::string& prefix, int64_t width, int64_t allowed,
                                     const acm::Json& config) {
  acm::GateConfig gate_config;
  gate_config.hidden = config.at("hidden").as_int();
  gate_config.depth = config.at("depth").as_int();
  gate_config.activation = acm::activation_from(config.at("activation").as_string());
  auto gate = std::make_shared<acm::Gate>(width, allowed, gate_config);
  load_parameters(*gate, golden, prefix, golden.tensor(prefix + "0.weight").scalar_type());
  return gate;
}

acm::io::NamedTensors parameters(const torch::nn::Module& module, const std::string& prefix) {
  acm::io::NamedTensors out;
  for (const auto& parameter : module.named_parameters()) out[prefix + parameter.key()] = parameter.value();
  return out;
}

}  // namespace golden
