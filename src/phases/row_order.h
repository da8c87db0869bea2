#pragma once

#include <cstdint>
#include <vector>

#include "core/random.h"
#include "data/schedule.h"

namespace acm::phases {

// Rows of the cache in the order of training: positions run through epochs without a break; each epoch walks the groups
// of `shuffle_segments` consecutive segments in order, and rows are permuted inside a group. A function of (key,
// position): nothing to save.
class RowOrder {
 public:
  RowOrder(const std::vector<int64_t>& rows_per_segment, int64_t shuffle_segments, StreamKey key);

  // Rows of one group, by their index inside it.
  struct Part {
    int64_t group;
    std::vector<int64_t> rows;
    int64_t epoch = 0;
  };
  // Rows at positions [begin, end), cut where the group changes.
  std::vector<Part> at(int64_t begin, int64_t end) const;
  // Where the group that holds a position ends, in its epoch.
  int64_t group_end(int64_t position) const;
  int64_t rows() const { return ends_.empty() ? 0 : ends_.back(); }  // of one epoch

 private:
  std::vector<int64_t> ends_;  // by group: rows up to its end
  StreamKey key_;
};

// The segments of a group, of `segments` in all: consecutive, the last group's fewer.
data::Range segments_of_group(int64_t group, int64_t shuffle_segments, int64_t segments);

// By group of `shuffle_segments` consecutive segments: rows up to its end. Error(kData) where there are none.
std::vector<int64_t> group_ends(const std::vector<int64_t>& rows_per_segment, int64_t shuffle_segments);

}  // namespace acm::phases
