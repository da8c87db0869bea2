#pragma once

#include <filesystem>

#include "acm/model.h"
#include "data/source.h"

namespace acm::phases {

// Error(kUsage) where the model read from `file` was made for other inputs than those of `source`, or tells fewer
// classes apart than it has labels for.
void check_fits(const Model& model, const std::filesystem::path& file, const data::DataSource& source);

}  // namespace acm::phases
