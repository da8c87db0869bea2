#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include "core/log.h"

namespace acm::data {

// What a rank does about samples that cannot be read where data.on_bad_sample is "skip": names each in the log once and
// counts how often one was passed over. Any thread.
class BadSamples {
 public:
  explicit BadSamples(Log& log) : log_(log) {}
  void note(const std::string& what);
  int64_t replaced() const;

 private:
  Log& log_;
  mutable std::mutex mutex_;
  std::set<std::string> named_;
  int64_t replaced_ = 0;
};

}  // namespace acm::data
