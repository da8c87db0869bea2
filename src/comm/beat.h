#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace acm::comm {

// What a rank tells the others through its beat file.
struct BeatState {
  int64_t counter = 0;  // grows with each beat: a reader judges age by whether it moves
  std::string run;      // the same on all ranks of one start and new for each start
  std::string host;
  int64_t pid = 0;
  std::string phase;
  std::string site;  // phase 1: the site in training
  int64_t step = 0;
  int64_t sites_done = 0;  // phase 1: of this rank's own
  bool stop_asked = false;
};

// A thread that rewrites `folder`/rank-00003 about once a second (more slowly where there are hundreds of ranks),
// without MPI, and reads the files of the other ranks: the road on which progress and stop requests travel while ranks
// have no collective in common. Files of another start are ignored. update() and ask_stop() may be called from any
// thread. With an empty folder nothing is written or read (a dry run). A folder that cannot be written is an
// Error(kUsage) of the constructor; a later beat that cannot be written is made up for by the next.
class Beat {
 public:
  // `on_stop` is called once, from the beat's thread, when another rank of the same run has asked to stop.
  Beat(std::filesystem::path folder, int rank, int size, std::string run, std::function<void()> on_stop);
  ~Beat();
  Beat(const Beat&) = delete;

  void update(const std::function<void(BeatState&)>& change);
  // Has the thread write the request at once, without waiting for it; idempotent.
  void ask_stop();
  // The newest state read of every rank, own included; empty where nothing was read yet.
  std::vector<std::optional<BeatState>> all() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace acm::comm
