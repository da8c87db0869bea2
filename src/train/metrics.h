#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "core/json.h"

namespace acm::train {

// Figures of the steps since the last row. Tensors stay on their device until the row is made.
class Metrics {
 public:
  // What is added from now on belongs to this slice of the rank's own. Slices are summed apart and then in a binary
  // tree over the slices of all ranks, so that the bits of a figure do not depend on which rank computed which.
  void begin_slice(size_t slice) { current_ = slice; }
  // Adds this rank's part of a figure; parts add up over slices and ranks, and a row shows the mean over its steps.
  void add(std::string_view name, const at::Tensor& value);
  void add(std::string_view name, double value);
  void end_step() { ++steps_; }
  int64_t steps() const { return steps_; }  // since the last take()
  // Collective: sums over `group`, the mean over the steps since the last call, and starts anew. Names and numbers of
  // slices must agree on all ranks.
  std::map<std::string, double> take(comm::Communicator& group);

 private:
  struct Slice {
    std::map<std::string, at::Tensor, std::less<>> sums;
    std::map<std::string, double, std::less<>> numbers;
    std::map<std::string, double> figures() const;
  };
  Slice& slice();

  std::vector<Slice> slices_;
  size_t current_ = 0;
  int64_t steps_ = 0;
};

// metrics.jsonl: one JSON object a line, keyed by phase, site and step. One writer a file; rows are appended whole and
// a torn last line is dropped when the file is opened.
class MetricsFile {
 public:
  explicit MetricsFile(std::filesystem::path path);
  // Removes this phase's (and site's) rows after `step`: they will be made again.
  void drop_after(std::string_view phase, std::string_view site, int64_t step);
  void append(const Json& row);

 private:
  std::filesystem::path path_;
};

}  // namespace acm::train
