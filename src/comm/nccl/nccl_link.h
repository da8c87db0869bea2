#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "comm/call.h"
#include "comm/nccl/nccl_abi.h"

namespace acm::comm {

// "all_reduce 6 of the group data failed 0.2 s after it began: why"
std::string failed_call_text(const Call& call, const std::string& why);

// One of NCCL's communicators, which does not block. NCCL wants one thread at a time in it, and none in it when it is
// aborted: all calls go through here.
class NcclLink {
 public:
  // Collective: joins the group `name` as one of `size` ranks that hold the same id. Error(kResource) where NCCL fails,
  // or where the group is not complete after `seconds`. `functions` must outlive the link.
  NcclLink(const nccl::Functions& functions, std::string name, int rank, int size, const nccl::UniqueId& id,
           double seconds);
  NcclLink(const NcclLink&) = delete;

  // Has `start` put a collective on its stream. Waits, like a collective of MPI, while NCCL opens connections to the
  // other ranks for it. Error(kResource), with `call` and its age, where NCCL fails.
  void launch(const Call& call, const std::function<nccl::Result(nccl::Comm*)>& start);
  // Error(kResource), as of launch(), where the link has failed meanwhile.
  void check(const Call& call);
  // What NCCL reports of a link that has failed, from any thread; nothing while another thread is in NCCL.
  std::optional<std::string> failure();
  // Ends what is in flight, on this rank; nothing can be launched any more: a thread that tries waits for the end of
  // the process. Waits for a thread that is in NCCL.
  void abort();

 private:
  std::unique_lock<std::mutex> enter();
  nccl::Result state();
  std::string failure_text(nccl::Result code);

  const nccl::Functions& functions_;
  const std::string name_;
  std::mutex mutex_;
  nccl::Comm* comm_ = nullptr;  // null once aborted
};

}  // namespace acm::comm
