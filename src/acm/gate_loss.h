#pragma once

#include <ATen/core/Tensor.h>

#include "acm/gate.h"

namespace acm {

struct GateLoss {
  at::Tensor sum;   // scalar: -log softmax(gate(tokens))[class], summed over the rows
  at::Tensor best;  // int64 [rows]: best_class of the gate's logits
};

// Phase 2's loss of one gate (method.md 4), differentiable in its parameters. tokens [rows, width], of the gate's type
// or narrower, as a cache stores them; classes int64 [rows], 0..allowed-1. On the CPU in float32 one pass over blocks
// of rows gives value and gradients, with the same bits for any number of threads.
GateLoss gate_loss(const Gate& gate, const at::Tensor& tokens, const at::Tensor& classes);

}  // namespace acm
