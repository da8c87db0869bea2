#include "app/time_budget.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <limits>

#include "core/time_text.h"

namespace acm::app {
namespace {

constexpr double kShareOfReserve = 0.2, kLongestReserve = 30;

}  // namespace

std::optional<double> seconds_left_of_job() {
  const char* end = std::getenv("SLURM_JOB_END_TIME");
  if (end == nullptr) return std::nullopt;
  return std::max(0.0, seconds_from(end) - static_cast<double>(std::time(nullptr)));
}

TimeBudget::TimeBudget(std::optional<double> seconds, std::function<void()> ask_stop)
    : whole_(seconds.value_or(std::numeric_limits<double>::infinity())) {
  if (!seconds) return;
  thread_ = std::jthread([this, ask_stop = std::move(ask_stop)](const std::stop_token& end) {
    std::unique_lock lock(mutex_);
    while (!end.stop_requested()) {
      const double left = seconds_to_wait();
      if (left <= 0) {
        ask_stop();
        return;
      }
      // A save that was slower than all before brings the moment nearer.
      wake_.wait_for(lock, end, std::chrono::duration<double>(left),
                     [this, now = slowest_save_] { return slowest_save_ > now; });
    }
  });
}

TimeBudget::~TimeBudget() = default;

double TimeBudget::seconds_to_wait() const {
  const double reserve = std::min(kShareOfReserve * whole_, kLongestReserve);
  return whole_ - reserve - 2 * slowest_save_ - watch_.seconds();
}

void TimeBudget::note_save(double seconds) {
  {
    const std::lock_guard lock(mutex_);
    slowest_save_ = std::max(slowest_save_, seconds);
  }
  wake_.notify_all();
}

}  // namespace acm::app
