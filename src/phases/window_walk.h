#pragma once

#include <functional>

#include "phases/capture.h"
#include "phases/window_plan.h"
#include "train/trainer.h"

namespace acm::phases {

// Leads all ranks through the windows of the cache. In each, a rank trains what is its own, captures its share of the
// next window, and meets the others; then what neither the next window nor the one after needs is removed. At no time
// are more than two windows on the disk.
class WindowWalk {
 public:
  WindowWalk(const Run& run, Capture& capture, const WindowPlan& plan) : run_(run), capture_(capture), plan_(plan) {}

  // Says on rank 0 what the cache takes and how it will be walked.
  void announce() const;
  // Trains on a window; kStopped where a stop was asked for.
  using Train = std::function<train::Outcome(int64_t window)>;
  // Collective. From the window that holds training row `row`, the first that any rank still needs, to the last. What
  // is on the disk already is used; kStopped where any rank was stopped.
  train::Outcome from(int64_t row, const Train& train);

 private:
  std::vector<int64_t> segments(int64_t window) const;  // none behind the last
  void remove_all_but(int64_t window);                  // collective: and the one after it
  bool enter(int64_t window, int64_t row);              // collective

  const Run& run_;
  Capture& capture_;
  const WindowPlan& plan_;
};

}  // namespace acm::phases
