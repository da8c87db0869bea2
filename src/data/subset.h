#pragma once

#include <memory>
#include <vector>

#include "data/source.h"

namespace acm::data {

// The samples of `whole` at `indices`, in that order. Its identity is the whole's with the number of samples and a
// digest of the indices.
std::unique_ptr<DataSource> make_subset(std::shared_ptr<const DataSource> whole, std::vector<int64_t> indices);

// Indices of 0..size-1 in two parts, each ascending: `chosen` has `count` of them, picked by the key.
struct Parts {
  std::vector<int64_t> chosen, rest;
};
Parts choose_part(int64_t size, int64_t count, StreamKey key);

}  // namespace acm::data
