#pragma once

#include <map>
#include <string>

#include "data/schedule.h"
#include "phases/cache_reader.h"

namespace acm::phases {

// Rows of the cache by their position in training, of one site or of several that are walked in one order.
class TrainingRows {
 public:
  TrainingRows(CacheReader& reader, RowOrder order) : reader_(reader), order_(std::move(order)) {}

  int64_t of_epoch() const { return order_.rows(); }
  // Rows at positions [begin, end).
  CacheReader::Rows at(const std::string& site, int64_t begin, int64_t end);
  // Reads rows [begin, end) now for at() to give later, when their window is gone from the disk; what was kept of the
  // site before is let go. An empty range keeps nothing.
  void keep(const std::string& site, int64_t begin, int64_t end);

 private:
  struct Kept {
    int64_t begin = 0, end = 0;
    CacheReader::Rows rows;
  };
  CacheReader& reader_;
  RowOrder order_;
  std::map<std::string, Kept> kept_;
};

// What a rank's slices, side by side, hold of a step of `batch` rows.
data::Range range_of(std::span<const data::Slice> slices, int64_t batch);

}  // namespace acm::phases
