#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "phases/capture.h"

namespace acm::phases {

// Datasets of a capture's cache. A segment that turns out to be damaged is named, captured again and read.
class CacheReader {
 public:
  // `sites`: those that will be asked for; empty: any.
  CacheReader(Capture& capture, Log& log, std::vector<std::string> sites = {});

  enum class Side { kInput, kOutput };
  // What a segment holds of a site, as stored; inputs are asked for by the site that owns them. [rows, width]
  at::Tensor read(int64_t segment, const std::string& site, Side side);
  int64_t width(const std::string& site, Side side) const;
  // The site that owns the input of a site; Error(kUsage) where the cache lacks that.
  const std::string& owner_of_input(const std::string& site) const;

  // The first `rows` of a segment of the first epoch.
  struct FirstRows {
    int64_t segment, rows;
  };
  // What holds the first captured samples, at most `samples` of them, in order: wherever the walk stands. What of them
  // is not on the disk, because the first window is smaller, is computed and held in memory until
  // forget_first_samples().
  std::vector<FirstRows> first_samples(int64_t samples);
  void forget_first_samples() { first_.clear(); }
  struct Rows {
    at::Tensor input, output;  // [rows, width]
  };
  // Widened to the numbers that models are trained in.
  Rows rows(const std::string& site, const std::vector<FirstRows>& parts);

  int64_t samples() const { return capture_.need().layout.samples; }  // captured
  const Capture& capture() const { return capture_; }

 private:
  using Place = std::tuple<std::string, Side>;
  at::Tensor first_values(int64_t segment, const std::string& site, Side side);
  void compute_first(int64_t segment);
  const io::CachedSite& cached(const std::string& site) const;
  template <typename Read>
  auto mended(const Read& read);

  Capture& capture_;
  Log& log_;
  std::vector<std::string> sites_;
  std::map<int64_t, std::map<Place, at::Tensor>> first_;  // by segment: inputs under the site that owns them
};

}  // namespace acm::phases
