#pragma once

#include "phases/run.h"

namespace acm::phases {

// Phase 3: the whole model, gates and all, is trained on the task under the budget, data-parallel; writes
// model.safetensors. Collective over all ranks.
train::Outcome run_finetune(const Run& run);

}  // namespace acm::phases
