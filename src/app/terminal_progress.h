#pragma once

#include <chrono>
#include <string>

#include "core/log.h"
#include "core/progress.h"
#include "core/stopwatch.h"

namespace acm::app {

// "distill 3/20 sites  loss 0.0421  51,200 tokens/s  0:42 left  blocks.1.ffn step 200/800"
std::string progress_line(const ProgressReport& report, double seconds_left);

// Shows progress on standard error: one line that is redrawn on a terminal, else a plain line every ten seconds and one
// at the end.
class TerminalProgress final : public Progress {
 public:
  TerminalProgress(Log& log, bool terminal) : log_(log), terminal_(terminal) {}
  void report(const ProgressReport& report) override;
  void finish(std::string_view phase) override;

  // Whether standard error is a terminal. mpirun hides it behind a pipe, so launch/local.sh says so in
  // ACM_DIST_TERMINAL.
  static bool is_terminal();

 private:
  void show(const std::string& line);

  Log& log_;
  bool terminal_;
  std::string phase_;
  int64_t first_done_ = 0;  // a resumed phase does not begin at 0
  Stopwatch since_first_, since_shown_;
  std::string last_line_;
};

}  // namespace acm::app
