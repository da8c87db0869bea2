#pragma once

#include <functional>

#include "core/log.h"
#include "phases/batch_statistics.h"

namespace acm::phases {

// Before phase 3: shifts the gates so that what they sample spends a budget (method.md 10.4). Collective. `sample` runs
// this rank's slices of a few training batches through the model, always with the same noise, and gives what they
// chose. What is summed over slices and ranks are whole numbers, so the shift does not depend on the cut.
void calibrate_start(nn::Backbone& model, double budget, const std::function<std::vector<SliceStatistics>()>& sample,
                     comm::Communicator& group, Log& log);

}  // namespace acm::phases
