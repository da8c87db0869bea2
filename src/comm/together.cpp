#include <algorithm>

#include "comm/communicator.h"
#include "comm/current_error.h"

namespace acm::comm {
namespace {

// An outcome travels as text: empty for success, otherwise one character for the fault and then the message.
std::string outcome_of(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (...) {  // a bug as well: it must not leave the other ranks waiting
    const Error error = current_error();
    return std::string(1, static_cast<char>(error.fault())) + error.what();
  }
}

}  // namespace

void together(Communicator& group, const std::function<void()>& work) {
  const std::vector<std::string> outcomes = all_gather_strings(group, outcome_of(work));
  const auto failed = std::ranges::find_if(outcomes, [](const std::string& outcome) { return !outcome.empty(); });
  if (failed == outcomes.end()) return;
  const bool all_equal = std::ranges::all_of(outcomes, [&](const std::string& outcome) { return outcome == *failed; });
  const std::string who = all_equal ? "" : "rank " + std::to_string(failed - outcomes.begin()) + ": ";
  Error error(static_cast<Fault>(failed->front()), who + failed->substr(1));
  throw error.mark_shared();
}

}  // namespace acm::comm
