#include "app/signals.h"

#include <pthread.h>

#include <csignal>

namespace acm::app {
namespace {

// Sent by the destructor to end the waiting thread.
int quit_signal() { return SIGRTMIN; }

sigset_t waited_for() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT, quit_signal()}) sigaddset(&set, signal);
  return set;
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = waited_for();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::thread([this, set] {
    int signal = 0;
    while (sigwait(&set, &signal) == 0 && signal != quit_signal()) source_.request_stop();
  });
}

StopSignals::~StopSignals() {
  pthread_kill(waiter_.native_handle(), quit_signal());
  waiter_.join();
}

}  // namespace acm::app
