#pragma once

#include "nn/import.h"
#include "nn/vit/vit.h"

namespace acm::nn {

// Interpolates position embeddings for square images of another side; Error(kUsage) where patches do not divide it.
void adapt_positions(VitConfig& config, int64_t image_size, Imported& imported);
// Gives the model a zero head where it has none or, by the options, another number of classes; Error(kUsage) where it
// cannot tell as many classes apart as the options say and a new head is not allowed.
void adapt_head(VitConfig& config, const ImportOptions& options, Imported& imported);

}  // namespace acm::nn
