#pragma once

#include <optional>
#include <string>
#include <vector>

#include "comm/beat_state.h"

namespace acm::comm {

struct WatchdogLimits {
  double silent_seconds = 10;  // without a beat: the rank is dead, stopped, or its host cannot be reached
  double late_seconds = 30;    // waited for in a step's collective, at least: the rank hangs
  double save_seconds = 600;   // in which a rank writes its part of one checkpoint: its disk does not answer
};

// Judges from the beats of a run whether it can still go on. Uses no clock and no thread of its own.
class Watchdog {
 public:
  Watchdog(int rank, int size, WatchdogLimits limits);

  // To be called about every `period` seconds with the newest beats of all ranks, `elapsed` after the last look.
  // `slowest_step`: seconds that a step took so far; nothing outside of steps, where a collective may have to wait for
  // hours. The sentence that says which rank is lost, or which collective has failed, in which step; nothing where all
  // is well.
  //
  // Time counts only while this rank itself was awake: a file system that holds up everybody, or a job that is
  // suspended and goes on, accuses nobody.
  std::optional<std::string> look(const std::vector<std::optional<BeatState>>& states, double elapsed, double period,
                                  std::optional<double> slowest_step);

 private:
  struct Seen {
    int64_t counter = -1;  // -1: no beat of this start yet
    double silent = 0;
    int64_t saving = 0;  // the checkpoint that it was writing at the last look
    double writing = 0;
  };
  void note_waiting(const Call& own, double awake);
  std::string own_text(const BeatState& own) const;
  std::optional<std::string> silent_rank(const std::vector<std::optional<BeatState>>& states, double awake);
  std::optional<std::string> stuck_rank(const std::vector<std::optional<BeatState>>& states, double awake);
  std::optional<std::string> late_rank(const std::vector<std::optional<BeatState>>& states, double slowest_step) const;

  int rank_;
  WatchdogLimits limits_;
  std::vector<Seen> seen_;
  Call waited_for_;  // the collective that this rank was in at the last look
  double waited_ = 0;
};

}  // namespace acm::comm
