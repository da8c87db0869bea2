#pragma once

#include <stop_token>
#include <thread>

namespace acm::app {

// Turns the first SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 into a stop request, and a second one into the end of the process
// at once, with 128 + its number. A SIGTERM or SIGINT that follows the signal before it within a second is no second
// one, nor is a SIGUSR1 or SIGUSR2 within five: launchers deliver a signal on two roads, and batch scripts repeat
// theirs until the ranks listen. The signals are blocked in this thread and in all that it starts later, and waited for
// by one thread, so no code ever runs inside a handler: make it before anything starts threads.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  void request_stop() { source_.request_stop(); }

 private:
  void wait_for_signals();

  std::stop_source source_;
  std::thread waiter_;
};

}  // namespace acm::app
