#include "comm/beat.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

namespace acm::comm {
namespace {

std::string to_text(const BeatState& state) {
  return Json::object({{"counter", state.counter},
                       {"run", state.run},
                       {"host", state.host},
                       {"pid", state.pid},
                       {"phase", state.phase},
                       {"site", state.site},
                       {"step", state.step},
                       {"sites_done", state.sites_done},
                       {"stop_asked", state.stop_asked}})
      .dump();
}

BeatState from_text(std::string_view text, const std::string& source) {
  const Json json = Json::parse(text, source);
  BeatState state;
  state.counter = json.at("counter").as_int();
  state.run = json.at("run").as_string();
  state.host = json.at("host").as_string();
  state.pid = json.at("pid").as_int();
  state.phase = json.at("phase").as_string();
  state.site = json.at("site").as_string();
  state.step = json.at("step").as_int();
  state.sites_done = json.at("sites_done").as_int();
  state.stop_asked = json.at("stop_asked").as_bool();
  return state;
}

std::string file_name(int rank) {
  char name[32];
  std::snprintf(name, sizeof name, "rank-%05d", rank);
  return name;
}

// A reader sees the old file or the new one. Unlike replace_file nothing is synced: a beat is worth nothing after a
// crash.
void replace_unsynced(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path partial = path.string() + ".partial";
  errno = 0;
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw errno_error("cannot write " + partial.string(), errno, Fault::kUsage);
  std::error_code failed;
  std::filesystem::rename(partial, path, failed);
  if (failed) throw errno_error("cannot rename " + partial.string(), failed.value(), Fault::kUsage);
}

}  // namespace

struct Beat::Impl {
  Impl(std::filesystem::path folder_, int rank_, int size_, std::string run_, std::function<void()> on_stop_)
      : folder(std::move(folder_)), rank(rank_), run(std::move(run_)), on_stop(std::move(on_stop_)), states(size_) {
    BeatState& mine = states.at(rank).emplace();
    mine.run = run;
    mine.host = host_name();
    mine.pid = getpid();
    if (folder.empty()) return;
    make_folder(folder);
    write_own();
    thread = std::jthread([this](const std::stop_token& end) { beat(end); });
  }

  void beat(const std::stop_token& end) {
    // All ranks read all files: a file system serves size² reads a period, so large runs beat more slowly.
    const auto period = std::chrono::seconds(1 + states.size() / 256);
    bool told = false;
    while (!end.stop_requested()) {
      try_to_write_own();
      const bool asked = read_others();
      if (asked && !told) {
        told = true;
        on_stop();
      }
      std::unique_lock lock(mutex);
      wake.wait_for(lock, end, period, [this] { return std::exchange(urgent, false); });
    }
    try_to_write_own();
  }

  void write_own() {
    std::string text;
    {
      const std::lock_guard lock(mutex);
      ++states[rank]->counter;
      text = to_text(*states[rank]);
    }
    replace_unsynced(folder / file_name(rank), text);
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
      BeatState state = from_text(read_file(path), path.string());
      if (state.run == run) return state;
    } catch (const Error&) {
    }
    return std::nullopt;
  }

  const std::filesystem::path folder;
  const int rank;
  const std::string run;
  const std::function<void()> on_stop;
  std::mutex mutex;  // of states and urgent
  std::condition_variable_any wake;
  std::vector<std::optional<BeatState>> states;
  bool urgent = false;
  std::jthread thread;  // last: it uses all of the above
};

Beat::Beat(std::filesystem::path folder, int rank, int size, std::string run, std::function<void()> on_stop)
    : impl_(std::make_unique<Impl>(std::move(folder), rank, size, std::move(run), std::move(on_stop))) {}

Beat::~Beat() = default;

void Beat::update(const std::function<void(BeatState&)>& change) {
  const std::lock_guard lock(impl_->mutex);
  change(*impl_->states[impl_->rank]);
}

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
