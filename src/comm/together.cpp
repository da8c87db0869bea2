#include <c10/util/Exception.h>

#include <algorithm>
#include <exception>

#include "comm/communicator.h"
#include "core/error.h"

namespace acm::comm {
namespace {

// An outcome travels as text: empty for success, otherwise one character for the fault and then the message.
std::string outcome_of(const std::function<void()>& work) {
  const auto failed = [](Fault fault, const std::string& message) {
    return std::string(1, static_cast<char>(fault)) + message;
  };
  try {
    work();
    return {};
  } catch (const Error& error) {
    return failed(error.fault(), error.what());
  } catch (const c10::Error& error) {  // its what() would carry a stack trace
    return failed(Fault::kInternal, error.what_without_backtrace());
  } catch (const std::exception& error) {  // a bug here must not leave the other ranks waiting
    return failed(Fault::kInternal, error.what());
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
