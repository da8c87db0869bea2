#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "comm/communicator.h"
#include "core/json.h"

namespace acm::train {

// Figures of the steps since the last row. Tensors stay on their device until the row is made.
class Metrics {
 public:
  // Adds this rank's part of a figure; parts add up over slices and ranks, and a row shows the mean over its steps.
  void add(std::string_view name, const at::Tensor& value);
  void add(std::string_view name, double value);
  void end_step() { ++steps_; }
  int64_t steps() const { return steps_; }  // since the last take()
  // Collective: sums over `group`, the mean over the steps since the last call, and starts anew. Names must agree on
  // all ranks.
  std::map<std::string, double> take(comm::Communicator& group);

 private:
  std::map<std::string, at::Tensor, std::less<>> sums_;
  std::map<std::string, double, std::less<>> numbers_;
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
