#pragma once

#include <functional>
#include <string>

#include "comm/communicator.h"
#include "train/optimizer.h"

namespace acm::train {

// Collective, after a step whose loss or gradient was not finite: where the first such number stands, as
// "the gradient of blocks.3.ffn.w1 on rank 2". Looks at the parameters, then computes the step's loss and gradients
// once more without summing them over the ranks, by `compute` (which returns this rank's loss and may be collective),
// because in the sum all ranks hold the same.
std::string place_of_not_finite(comm::Communicator& group, const Optimizer& optimizer,
                                const std::function<double()>& compute);

}  // namespace acm::train
