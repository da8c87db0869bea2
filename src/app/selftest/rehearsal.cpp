#include "app/selftest/rehearsal.h"

#include <algorithm>
#include <chrono>

#include "comm/beat_state.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/file.h"

namespace acm::app {
namespace {

namespace fs = std::filesystem;

constexpr auto kLongestRun = std::chrono::minutes(3);
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);

[[noreturn]] void fails(const std::string& what) { throw Error(Fault::kResource, what); }

std::map<std::string, std::string> models_in(const fs::path& run) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : fs::directory_iterator(run))
    if (entry.path().extension() == ".safetensors")
      digests[entry.path().filename().string()] = digest_of_file(entry.path());
  return digests;
}

}  // namespace

Rehearsal::Rehearsal(fs::path folder, std::vector<std::string> launcher)
    : folder_(std::move(folder)), launcher_(std::move(launcher)) {}

std::unique_ptr<Child> Rehearsal::start(const std::string& run) const {
  // What ranks of the start before told is not about this one.
  fs::remove_all(run_folder(run) / "alive");
  auto words = launcher_;
  words.insert(words.end(), {fs::read_symlink("/proc/self/exe").string(), "--phase", "all", "--quiet", "--config",
                             (folder_ / "miniature.toml").string(), "--set", "run_dir=" + run_folder(run).string()});
  return std::make_unique<Child>(words, output_of(run));
}

void Rehearsal::expect_end(Child& child, const std::string& run, int code) const {
  const auto ended = child.wait(kLongestRun);
  if (!ended) fails("it did not end within three minutes");
  if (*ended == code) return;
  auto output = read_file(output_of(run));
  output.erase(0, output.size() - std::min<size_t>(output.size(), 400));
  fails("it ended with " + std::to_string(*ended) + ", expected " + std::to_string(code) + ": ..." + output);
}

void Rehearsal::finish(const std::string& run) const { expect_end(*start(run), run, 0); }

bool Rehearsal::wait_for(Child& child, const std::function<bool()>& condition) const {
  while (!condition())
    if (child.wait(kBetweenLooks)) return condition();
  return true;
}

void Rehearsal::expect_told(const std::string& run, const std::string& text) const {
  if (read_file(output_of(run)).find(text) == std::string::npos) fails("it did not say \"" + text + "\"");
}

void Rehearsal::expect_same_models(const std::string& run, const std::string& other) const {
  const auto mine = models_in(run_folder(run)), theirs = models_in(run_folder(other));
  for (const auto& [name, digest] : theirs) {
    const auto found = mine.find(name);
    if (found == mine.end()) fails(name + " is missing");
    if (found->second != digest) fails(name + " has other bytes than in an undisturbed run");
  }
}

std::vector<fs::path> Rehearsal::checkpoints(const std::string& run, int phase) const {
  std::vector<fs::path> steps;
  std::error_code gone;  // steps come and go while one looks
  const auto place = run_folder(run) / ("phase" + std::to_string(phase));
  for (fs::recursive_directory_iterator entry(place, gone), end; !gone && entry != end; entry.increment(gone))
    if (entry->path().filename() == "manifest.json") steps.push_back(entry->path().parent_path());
  std::ranges::sort(steps);
  return steps;
}

pid_t Rehearsal::local_rank(const std::string& run, size_t number) const {
  std::vector<pid_t> ranks;
  std::error_code gone;
  for (fs::directory_iterator entry(run_folder(run) / "alive", gone), end; !gone && entry != end;
       entry.increment(gone)) {
    try {
      const auto beat = comm::beat_from(read_file(entry->path()), entry->path().string());
      if (beat.host == host_name()) ranks.push_back(static_cast<pid_t>(beat.pid));
    } catch (const Error&) {  // replaced at this moment: the next look finds it
    }
  }
  std::ranges::sort(ranks);
  return ranks.empty() ? 0 : ranks[number % ranks.size()];
}

}  // namespace acm::app
