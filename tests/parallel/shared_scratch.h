#pragma once

#include "comm/communicator.h"
#include "unit/core/scratch.h"

namespace acm::parallel_test {

// The scratch folder of rank 0, on every rank until all are done with it.
class SharedScratch {
 public:
  explicit SharedScratch(comm::Communicator& group)
      : group_(group), folder_(comm::broadcast_string(group, own_.folder().string())) {}
  ~SharedScratch() { group_.barrier(); }
  SharedScratch(const SharedScratch&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  Scratch own_;
  comm::Communicator& group_;
  std::filesystem::path folder_;
};

}  // namespace acm::parallel_test
