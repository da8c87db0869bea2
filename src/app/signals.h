#pragma once

#include <stop_token>
#include <thread>

namespace acm::app {

// Turns SIGTERM, SIGUSR1 and SIGINT into a stop request. The signals are blocked in this thread and in all that it
// starts later, and waited for by one thread, so no code ever runs inside a handler: make it before anything starts
// threads.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;

  std::stop_token token() const { return source_.get_token(); }
  void request_stop() { source_.request_stop(); }

 private:
  std::stop_source source_;
  std::thread waiter_;
};

}  // namespace acm::app
