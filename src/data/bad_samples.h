#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/log.h"

namespace acm::data {

// What a rank does about samples that cannot be read where data.on_bad_sample is "skip": names each in the log once and
// counts those that others stand in for. Any thread.
class BadSamples {
 public:
  explicit BadSamples(Log& log) : log_(log) {}
  // Of one sample: what was passed over before another could stand in, itself first.
  void note(const std::vector<std::string>& passed_over);
  int64_t replaced() const;

 private:
  Log& log_;
  mutable std::mutex mutex_;
  std::set<std::string> named_;
  int64_t replaced_ = 0;
};

}  // namespace acm::data
