#pragma once

#include <string>
#include <vector>

#include "nn/import.h"
#include "nn/import/inventory.h"

namespace acm::nn {

struct FoundSizes {
  VitConfig config;
  std::vector<std::string> notes;   // what neither tensors nor config.json told
  std::vector<std::string> faults;  // sentences for Inventory::check_against()
};

// Sizes from the shapes; image, heads and eps from config.json, where the shapes do not tell. Error(kData) where
// config.json is of another model.
FoundSizes find_sizes(const Inventory& inventory, const ImportOptions& options);

}  // namespace acm::nn
