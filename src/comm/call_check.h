#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace acm::comm {

enum class Operation : int64_t { kAllReduce, kBroadcast, kAllGather, kBarrier, kSplit };

// Compares over the ranks of `road` what each is about to call. Groups that share one communication thread share one
// CallCheck, so that a rank that calls the right operation on the wrong group is found as well. `road` must outlive it.
class CallCheck {
 public:
  CallCheck(Communicator& road, std::vector<std::string> group_names);
  // Collective over `road`. `group` indexes group_names; `detail` is the ReduceOp or the root; `tensor` may be
  // undefined. Throws the same Error(kInternal), marked shared, on every rank where two ranks differ.
  void agree(int64_t group, Operation operation, int64_t detail, const at::Tensor& tensor);

 private:
  std::string describe(const int64_t* fingerprint) const;

  Communicator& road_;
  std::vector<std::string> group_names_;
  int64_t calls_ = 0;
};

// `inner`, checked as group number `group` of `check`; both must outlive it.
std::unique_ptr<Communicator> make_checked_communicator(Communicator& inner, std::shared_ptr<CallCheck> check,
                                                        int64_t group);

}  // namespace acm::comm
