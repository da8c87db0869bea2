#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace acm::comm {

// The collective that a rank is in, or was in last. Numbers of a group's calls are the same on all its ranks, because
// all make the same calls in the same order.
struct Call {
  std::string group;      // "data", "control", "control/3"
  std::string operation;  // "all_reduce"
  int64_t number = 0;     // from 1, of the group's calls; 0: there was none yet
  bool is_over = true;
  std::chrono::steady_clock::time_point begun = {};
  std::string failure = {};  // what has gone wrong in it behind the back of its caller; empty where all is well
};

// "all_reduce 6 of the group data"
inline std::string call_text(const Call& call) {
  return call.operation + " " + std::to_string(call.number) + " of the group " + call.group;
}

}  // namespace acm::comm
