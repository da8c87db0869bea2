#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <vector>

#include "comm/communicator.h"
#include "core/error.h"
#include "core/log.h"
#include "core/stopwatch.h"
#include "train/manifest.h"
#include "train/state.h"

namespace acm::train {

// What stays on the disk: the newest steps, and beside them the one with the lowest loss.
struct Retention {
  int64_t keep_last = 2;  // at least 2
  bool keep_best = false;
};

// Checkpoints of one phase (or one site of phase 1): `folder`/step-00001000/{rank-00000.safetensors, ...,
// manifest.json}. Each tensor is written once, whole, by one of the ranks that hold it; the manifest names file, shape,
// dtype and digest of each and is renamed into place after every shard is durable and was read back, so a step exists
// once its manifest does, and any number of ranks loads it. Older steps are removed only then.
//
// A save goes on in the background: begin() copies this rank's share and returns, a thread of each rank writes it, and
// the ranks move on together by advance() when their outcomes, compared by the caller, are all kDone. Threads of a save
// make no collective.
class CheckpointStore {
 public:
  // `on_writing`, from any thread: the step that this rank's thread begins to write, and 0 when it has written its
  // part.
  CheckpointStore(std::filesystem::path folder, comm::Communicator& group, Log& log, Retention retention = {},
                  std::function<void(int64_t step)> on_writing = {});

  // Collective. Loads the newest step that is whole on every rank, saying which and why others were passed over;
  // nothing where there is none.
  std::optional<int64_t> load_latest(const Parts& parts);

  // Collective; no save may be under way. `loss` judges which step is the best. Error, the same on all ranks, where the
  // step's folder cannot be made or its bytes are more than are free.
  void begin(int64_t step, const Parts& parts, std::optional<double> loss = std::nullopt);
  bool is_saving() const { return stage_ != Stage::kIdle; }  // the same on all ranks
  enum class Outcome : int64_t { kDone = 0, kBusy = 1, kFailed = 2 };
  Outcome outcome();  // of this rank's own part; never waits
  struct Saved {
    int64_t step;
    double seconds;  // from begin() to the manifest
  };
  // Collective, when all outcomes are kDone: shards are followed by the manifest. The step, once it exists.
  std::optional<Saved> advance();
  // Collective, when some outcome is kFailed: the save is given up, by the Error of the lowest rank that failed, the
  // same on all ranks; what was saved before stays. kInternal: the state to be saved holds a number that is not finite.
  [[noreturn]] void give_up();

  // Collective. Waits for the save that is under way, if any; or begins one and waits for it. Errors as give_up().
  std::optional<Saved> finish();
  Saved save(int64_t step, const Parts& parts, std::optional<double> loss = std::nullopt);

 private:
  enum class Stage { kIdle, kShards, kManifest };
  void write_in_background(std::function<void()> work);
  void publish(const std::vector<std::string>& records);
  void remove_others();
  std::vector<int64_t> kept_steps(const std::vector<int64_t>& older) const;
  std::filesystem::path place() const;

  std::filesystem::path folder_;
  comm::Communicator& group_;
  Log& log_;
  Retention retention_;
  std::function<void(int64_t)> on_writing_;

  Stage stage_ = Stage::kIdle;
  int64_t step_ = 0;  // of the save that is under way
  Manifest manifest_;
  Stopwatch watch_;
  TensorRecords records_;   // of this rank's shard, once it is written
  std::future<void> work_;  // of this rank's thread; invalid where it has nothing to do
  std::optional<Error> failure_;
};

}  // namespace acm::train
