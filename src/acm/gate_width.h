#pragma once

#include <vector>

#include "acm/acm_layer.h"

namespace acm {

// Hidden width of gates that was left to the program (method.md 10.7): the largest, at least 4, with which the gates of
// all `sites` cost at most 1 % of the dense model. tokens and dense_macs: of a sample.
int64_t automatic_gate_width(const std::vector<AcmShape>& sites, GateConfig gate, int64_t tokens, int64_t dense_macs);

}  // namespace acm
