#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "data/open.h"

namespace acm::data {

// One image's line of a file of labels. `name` is empty where the file has labels alone, one for each image in sorted
// order, as ILSVRC2012_validation_ground_truth.txt has.
struct LabelLine {
  std::string_view name, label;
  int64_t number = 0;  // of the line, from 1
};

// Reads 'NAME LABEL' lines, one label a line, or, where data.image_column and data.label_column are set, CSV with a
// line of column names and quoted fields. Error(kData) names the file and the line.
void for_each_label(const std::filesystem::path& path, const DataConfig& config,
                    const std::function<void(const LabelLine&)>& visit);

}  // namespace acm::data
