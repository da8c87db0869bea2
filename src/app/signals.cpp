#include "app/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>

#include "core/stopwatch.h"

namespace acm::app {
namespace {

double seconds_of_repeats(int signal) { return signal == SIGUSR1 || signal == SIGUSR2 ? 5 : 1; }

// Sent by the destructor to end the waiting thread.
int quit_signal() { return SIGRTMIN; }

sigset_t waited_for() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, quit_signal()}) sigaddset(&set, signal);
  return set;
}

// Without clean-up: a thread may hold any lock.
[[noreturn]] void leave_at_once(int signal) {
  const std::string text = "acm_dist: a second signal (" + std::string(sigabbrev_np(signal)) +
                           "): leaving at once; the same command goes on from the last checkpoint\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
  std::_Exit(128 + signal);
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = waited_for();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  waiter_ = std::thread([this] { wait_for_signals(); });
}

void StopSignals::wait_for_signals() {
  const sigset_t set = waited_for();
  std::optional<Stopwatch> since_last;
  int signal = 0;
  while (sigwait(&set, &signal) == 0 && signal != quit_signal()) {
    if (since_last && since_last->seconds() > seconds_of_repeats(signal)) leave_at_once(signal);
    since_last.emplace();
    source_.request_stop();
  }
}

StopSignals::~StopSignals() {
  pthread_kill(waiter_.native_handle(), quit_signal());
  waiter_.join();
}

}  // namespace acm::app
