#pragma once

#include <memory>
#include <string>

#include "acm/acm_layer.h"
#include "acm/gate.h"
#include "golden/case.h"

namespace golden {

// A layer in the dtype of the tensors `prefix` + w1, b1, w2 (and b2) and with their values; widths are those of w1, the
// number of learners and the activation those of config.
std::shared_ptr<acm::AcmLayer> load_layer(const Case& golden, const std::string& prefix, int64_t min_k = 0);

// A gate with the values of `prefix` + I.weight and I.bias; `config` has depth, activation and hidden.
std::shared_ptr<acm::Gate> load_gate(const Case& golden, const std::string& prefix, int64_t width, int64_t allowed,
                                     const acm::Json& config);

// A module's parameters, `prefix` before each name.
acm::io::NamedTensors parameters(const torch::nn::Module& module, const std::string& prefix = "");

}  // namespace golden
