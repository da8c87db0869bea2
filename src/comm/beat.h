#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/beat_state.h"
#include "comm/watchdog.h"

namespace acm::comm {

// A thread that rewrites `folder`/rank-00003 about once a second (more slowly where there are hundreds of ranks),
// without MPI, and reads the files of the other ranks: the road on which progress and stop requests travel while ranks
// have no collective in common. Files of another start are ignored. update() and ask_stop() may be called from any
// thread. With an empty folder nothing is written or read (a dry run). A folder that cannot be written is an
// Error(kUsage) of the constructor; a later beat that cannot be written is made up for by the next.
// The thread also looks whether the run can still go on (watchdog.h).
class Beat {
 public:
  // What a beat calls, from its thread. `on_stop`: once, when another rank of the same run has asked to stop. `call`:
  // the collective that this rank is in, and whether it has failed. `on_lost`: once, with the sentence of a watchdog
  // that gives the run up. The last two may be empty: then nobody watches.
  struct Calls {
    std::function<void()> on_stop;
    std::function<Call()> call = {};
    std::function<void(const std::string& why)> on_lost = {};
  };
  Beat(std::filesystem::path folder, int rank, int size, std::string run, Calls calls, WatchdogLimits limits = {});
  ~Beat();
  Beat(const Beat&) = delete;

  void update(const std::function<void(BeatState&)>& change);
  // A step of a training loop is over; the ranks of a group that takes steps in common are soon to meet again.
  void note_step(int64_t step);
  // What comes now may take as long as it likes.
  void note_pause();
  // Has the thread write the request at once, without waiting for it; idempotent.
  void ask_stop();
  // The newest state read of every rank, own included; empty where nothing was read yet.
  std::vector<std::optional<BeatState>> all() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace acm::comm
