#pragma once

#include <map>
#include <string>
#include <vector>

#include "phases/capture.h"
#include "phases/row_order.h"

namespace acm::phases {

// Rows of a capture's cache in training order. Holds the inputs and outputs of the group in use of each site that was
// asked for; a segment that turns out to be damaged is named, captured again and read.
class CacheReader {
 public:
  explicit CacheReader(Capture& capture, Log& log, int64_t shuffle_segments);

  std::vector<int64_t> rows_per_segment();
  struct Rows {
    at::Tensor input, output;  // [rows, width]
  };
  Rows rows(const std::string& site, const std::vector<RowOrder::Part>& parts);
  // Lets go of what is held.
  void clear() { held_.clear(); }

 private:
  struct Held {
    int64_t group = -1;
    at::Tensor values;  // [rows of the group, width]
  };
  enum class Side { kInput, kOutput };
  const at::Tensor& group_of(const std::string& site, Side side, int64_t group);
  template <typename Read>
  auto mended(const Read& read);

  Capture& capture_;
  Log& log_;
  int64_t shuffle_segments_;
  std::map<std::pair<std::string, Side>, Held> held_;  // inputs under the site that owns them
};

}  // namespace acm::phases
