#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

#include "train/phase.h"

namespace acm::phases {

// Walks a module's parameters by name, as a checkpoint holds them.
void visit_parameters(torch::nn::Module& module, train::StateVisitor& visitor);

// One group of all parameters that require gradients. `weight_decay` is for tensors of two axes and more: biases, norms
// and other single vectors have none.
std::vector<train::ParameterGroup> one_group(torch::nn::Module& module, double weight_decay = 0);

}  // namespace acm::phases
