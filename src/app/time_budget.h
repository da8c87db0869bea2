#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/stopwatch.h"

namespace acm::app {

// Seconds until the batch system ends this job, as its environment tells (SLURM_JOB_END_TIME, in seconds since 1970);
// nothing where it does not.
std::optional<double> seconds_left_of_job();

// Asks a run to stop so long before its time is over that it can save: twice the slowest save that was seen, and a
// reserve of a fifth of the whole, at most 30 seconds, for the step that is under way and for leaving.
class TimeBudget {
 public:
  // Without `seconds` it never asks.
  TimeBudget(std::optional<double> seconds, std::function<void()> ask_stop);
  ~TimeBudget();
  TimeBudget(const TimeBudget&) = delete;
  // From any thread.
  void note_save(double seconds);

 private:
  double seconds_to_wait() const;

  const double whole_;
  const Stopwatch watch_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  double slowest_save_ = 0;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace acm::app
