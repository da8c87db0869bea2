#pragma once

#include <filesystem>

#include "acm/model.h"
#include "data/source.h"
#include "phases/run.h"

namespace acm::phases {

// Error(kUsage) where the model read from `file` was made for other inputs than those of `source`, or tells fewer
// classes apart than it has labels for.
void check_fits(const Model& model, const std::filesystem::path& file, const data::DataSource& source);

// The dense model whose activations phases 1 and 2 learn from; Error(kUsage) where the file holds an ACM model already.
Model load_teacher(const Run& run);

}  // namespace acm::phases
