#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace acm::comm {

enum class Operation : int64_t { kAllReduce, kBroadcast, kAllGather, kAllToAll, kBarrier, kSplit };

// Compares over the ranks of `road` what each is about to call. Groups that share one communication thread share one
// CallCheck, so that a rank that calls the right operation on the wrong group is found as well. `road` must outlive it.
class CallCheck {
 public:
  CallCheck(Communicator& road, std::vector<std::string> group_names);
  // Collective over `road`. `group` indexes group_names; `detail` is the ReduceOp or the root; `tensor` may be
  // undefined. Throws the same Error(kInternal), marked shared, on every rank where two ranks differ.
  void agree(int64_t group, Operation operation, int64_t detail, const at::Tensor& tensor);
  // Collective over `road`: what a part of the group number `group` has in place of this, over a part of the same road
  // (the group itself may carry no tensors of the host).
  std::shared_ptr<CallCheck> split(int64_t group, int colour);

 private:
  CallCheck(std::unique_ptr<Communicator> road, std::string group_name);
  std::string describe(const int64_t* fingerprint) const;

  std::unique_ptr<Communicator> part_;  // of a road, which the result of split() owns
  Communicator& road_;
  std::vector<std::string> group_names_;
  int64_t calls_ = 0;
};

// `inner`, checked as group number `group` of `check`; both must outlive it.
std::unique_ptr<Communicator> make_checked_communicator(Communicator& inner, std::shared_ptr<CallCheck> check,
                                                        int64_t group);

}  // namespace acm::comm
