#include "comm/beat.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "core/stopwatch.h"

namespace acm::comm {
namespace {

std::string file_name(int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%05d", rank);
  return name;
}

// In place and at once: on NFS a file that is replaced by another may stay hidden behind a reader's cached folder for a
// minute, while one that is written and closed is seen by whoever opens it next. Nothing is synced: a beat is worth
// nothing after a crash. A reader that meets half of a beat finds no JSON and reads again a moment later.
void overwrite(const std::filesystem::path& path, std::string text) {
  constexpr size_t kBytes = 2048;  // more than a beat has, so that the next one covers it
  text.resize(std::max(kBytes, text.size() + 1), ' ');
  text.back() = '\n';
  FileHandle(path, FileHandle::Mode::kMake).write(text.data(), static_cast<int64_t>(text.size()), 0);
}

}  // namespace

// Those in which everything is still being loaded and warmed up are no measure, and nobody is judged by them.
constexpr int64_t kFirstSteps = 3;

struct Beat::Impl {
  Impl(std::filesystem::path folder_, int rank_, int size_, std::string run_, Calls calls_, WatchdogLimits limits)
      : folder(std::move(folder_)),
        rank(rank_),
        run(std::move(run_)),
        calls(std::move(calls_)),
        states(size_),
        watchdog(rank_, size_, limits) {
    BeatState& mine = states.at(rank).emplace();
    mine.run = run;
    mine.host = host_name();
    mine.pid = getpid();
    if (const char* job = std::getenv("SLURM_JOB_ID")) mine.job = job;
    if (folder.empty()) return;
    make_folder(folder);
    write_own();
    thread = std::jthread([this](const std::stop_token& end) { beat(end); });
  }

  void beat(const std::stop_token& end) {
    // All ranks read all files: a file system serves size² reads a period, so large runs beat more slowly.
    const auto period = std::chrono::seconds(1 + states.size() / 256);
    bool told = false;
    Stopwatch since_look;
    while (!end.stop_requested()) {
      try_to_write_own();
      const bool asked = read_others();
      if (asked && !told) {
        told = true;
        calls.on_stop();
      }
      watch(since_look.seconds(), static_cast<double>(period.count()));
      since_look.restart();
      std::unique_lock lock(mutex);
      wake.wait_for(lock, end, period, [this] { return std::exchange(urgent, false); });
    }
    update([](BeatState& mine) { mine.has_left = true; });
    try_to_write_own();
  }

  void watch(double elapsed, double period) {
    if (!calls.on_lost) return;
    std::optional<std::string> lost;
    {
      const std::lock_guard lock(mutex);
      lost = watchdog.look(states, elapsed, period,
                           steps_in_a_row >= kFirstSteps ? std::optional(slowest_step) : std::nullopt);
    }
    if (lost) std::exchange(calls.on_lost, {})(*lost);
  }

  void update(const std::function<void(BeatState&)>& change) {
    const std::lock_guard lock(mutex);
    change(*states[rank]);
  }

  void note_step(int64_t step) {
    const std::lock_guard lock(mutex);
    states[rank]->step = step;
    if (steps_in_a_row > 0) slowest_step = std::max(slowest_step, since_step.seconds());
    ++steps_in_a_row;
    since_step.restart();
  }

  void note_pause() {
    const std::lock_guard lock(mutex);
    steps_in_a_row = 0;
  }

  void write_own() {
    std::string text;
    Call call = calls.call ? calls.call() : Call();  // not under the lock: it may ask a device
    {
      const std::lock_guard lock(mutex);
      ++states[rank]->counter;
      states[rank]->call = std::move(call);
      text = to_text(*states[rank]);
    }
    overwrite(folder / file_name(rank), text);
  }

  // A beat that fails is made up for by the next one; meanwhile the others see a counter that stands still.
  void try_to_write_own() {
    try {
      write_own();
    } catch (const Error&) {
    }
  }

  // Whether any other rank of this run has asked to stop.
  bool read_others() {
    bool stop_asked = false;
    for (int other = 0; other < static_cast<int>(states.size()); ++other) {
      if (other == rank) continue;
      const std::optional<BeatState> state = read(other);
      if (!state) continue;
      stop_asked |= state->stop_asked;
      const std::lock_guard lock(mutex);
      states[other] = state;
    }
    return stop_asked;
  }

  // Empty where the file is missing, cannot be read in full at this moment, or belongs to another start; the next beat
  // tries again.
  std::optional<BeatState> read(int other) const {
    const std::filesystem::path path = folder / file_name(other);
    try {
      BeatState state = beat_from(read_file(path), path.string());
      if (state.run == run) return state;
    } catch (const Error&) {
    }
    return std::nullopt;
  }

  const std::filesystem::path folder;
  const int rank;
  const std::string run;
  Calls calls;
  std::mutex mutex;  // of all below
  std::condition_variable_any wake;
  std::vector<std::optional<BeatState>> states;
  Watchdog watchdog;
  bool urgent = false;
  int64_t steps_in_a_row = 0;  // since the last pause
  double slowest_step = 0;
  Stopwatch since_step;
  std::jthread thread;  // last: it uses all of the above
};

Beat::Beat(std::filesystem::path folder, int rank, int size, std::string run, Calls calls, WatchdogLimits limits)
    : impl_(std::make_unique<Impl>(std::move(folder), rank, size, std::move(run), std::move(calls), limits)) {}

Beat::~Beat() = default;

void Beat::update(const std::function<void(BeatState&)>& change) { impl_->update(change); }
void Beat::note_step(int64_t step) { impl_->note_step(step); }
void Beat::note_pause() { impl_->note_pause(); }

void Beat::ask_stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->states[impl_->rank]->stop_asked = true;
    impl_->urgent = true;
  }
  impl_->wake.notify_all();
}

std::vector<std::optional<BeatState>> Beat::all() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->states;
}

}  // namespace acm::comm
