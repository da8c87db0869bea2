#pragma once

#include <span>

#include "data/source.h"

namespace acm::data {

// The batch of float32 inputs that all have the same shape, [samples, ...], with labels and positions.
Batch stack(std::span<const Sample> samples);

}  // namespace acm::data
