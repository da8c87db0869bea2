#pragma once

#include <c10/core/Device.h>

#include "data/batch.h"

namespace acm::phases {

// The tensor on a device, undefined where it was; itself where it is there already. The host does not wait for the
// copy.
at::Tensor on_device(const at::Tensor& tensor, at::Device device);
// What the model reads of a batch. Positions stay on the host: they are keys of randomness, which is drawn there.
data::Batch on_device(data::Batch batch, at::Device device);

}  // namespace acm::phases
