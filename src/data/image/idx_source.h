#pragma once

#include <memory>

#include "data/open.h"

namespace acm::data {

// Images and labels of one split of an IDX data set (MNIST's format: big-endian magic, sizes, bytes; gzip or plain),
// held in memory as bytes. Augmentation belongs to the training split. Error(kData) names a file that is missing,
// truncated, of another type, or whose counts disagree.
std::unique_ptr<DataSource> open_idx(const DataConfig& config, Split split);

}  // namespace acm::data
