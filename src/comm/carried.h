#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "comm/communicator.h"

namespace acm::comm {

// TORCH_CHECKs that a communicator whose tensors live on `device` carries this one: it lies there, contiguous, and is
// of a dtype named in communicator.h.
void check_carried(const at::Tensor& tensor, at::Device device = at::kCPU);

// The Work of an operation that is already over.
std::unique_ptr<Work> make_done_work();

}  // namespace acm::comm
