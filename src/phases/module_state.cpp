#include "phases/module_state.h"

namespace acm::phases {

void visit_parameters(torch::nn::Module& module, train::StateVisitor& visitor) {
  for (auto& parameter : module.named_parameters()) visitor.tensor(parameter.key(), parameter.value());
}

std::vector<train::ParameterGroup> one_group(torch::nn::Module& module, double weight_decay) {
  train::ParameterGroup group;
  for (auto& parameter : module.named_parameters())
    if (parameter.value().requires_grad())
      group.parameters.push_back(
          {parameter.key(), parameter.value(), parameter.value().dim() >= 2 ? weight_decay : 0.0});
  return {std::move(group)};
}

}  // namespace acm::phases
