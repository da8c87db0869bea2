#include "data/bad_samples.h"

namespace acm::data {

void BadSamples::note(const std::vector<std::string>& passed_over) {
  const std::lock_guard lock(mutex_);
  ++replaced_;
  for (const std::string& what : passed_over)
    if (named_.insert(what).second) log_.warn(what);
}

int64_t BadSamples::replaced() const {
  const std::lock_guard lock(mutex_);
  return replaced_;
}

}  // namespace acm::data
