#pragma once

#include "nn/backbone.h"

namespace acm::nn {

// backbone.forward(batch, context), whose samples do not know of each other. On the CPU without gradients a few at a
// time, so that what passes between layers stays in the cache of a core; what the groups record is joined. For modules
// that keep nothing of a pass by themselves.
at::Tensor forward_in_groups(Backbone& backbone, const data::Batch& batch, TokenContext& context);

}  // namespace acm::nn
