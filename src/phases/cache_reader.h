#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "phases/capture.h"
#include "phases/row_order.h"

namespace acm::phases {

// Rows of a capture's cache, widened to the numbers that models are trained in. Holds the inputs and outputs of the
// group in use of each site that was asked for; a segment that turns out to be damaged is named, captured again and
// read.
class CacheReader {
 public:
  // `sites`: those that will be asked for; empty: any.
  CacheReader(Capture& capture, Log& log, int64_t shuffle_segments, std::vector<std::string> sites = {});

  std::vector<int64_t> rows_per_segment() const { return capture_.need().rows_per_segment(); }  // of an epoch
  struct Rows {
    at::Tensor input, output;  // [rows, width]
  };
  Rows rows(const std::string& site, const std::vector<RowOrder::Part>& parts);
  // Rows of the first captured samples, at most `samples` of them, in order, a part for each segment: wherever the walk
  // stands. What of them is not on the disk, because the first window is smaller, is computed and held in memory until
  // forget_first_samples().
  std::vector<RowOrder::Part> first_samples(int64_t samples);
  void forget_first_samples() { first_.clear(); }
  int64_t samples() const { return capture_.need().layout.samples; }  // captured
  const Capture& capture() const { return capture_; }
  // Lets go of the groups that are held.
  void clear() { held_.clear(); }

 private:
  struct Held {
    int64_t visit = -1;  // the group's number, running on through epochs
    at::Tensor values;   // [rows of the group, width], as stored
  };
  enum class Side { kInput, kOutput };
  using Place = std::tuple<std::string, Side>;
  const at::Tensor& group_of(const std::string& site, Side side, const RowOrder::Part& part);
  bool is_on_disk(int64_t group);
  void compute_first(int64_t group, int64_t segments);
  template <typename Read>
  auto mended(const Read& read);

  Capture& capture_;
  Log& log_;
  int64_t shuffle_segments_;
  std::vector<std::string> sites_;
  std::map<Place, Held> held_;                            // inputs under the site that owns them
  std::map<int64_t, std::map<Place, at::Tensor>> first_;  // by group of the first epoch: its first rows
};

}  // namespace acm::phases
