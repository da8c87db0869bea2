#include "app/selftest_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>

#include "app/selftest/miniature.h"
#include "app/selftest/rehearsal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/file_lock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/stopwatch.h"

namespace acm::app {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  fs::path folder = "acm-selftest";
  std::string launcher;
  uint64_t seed = 1;
  bool keep = false;
};

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

bool is_there(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

std::vector<std::string> default_launcher() {
  if (::geteuid() == 0) {  // in containers the only user is often root, whom Open MPI refuses unless told twice
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  }
  return {"mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none"};
}

[[noreturn]] void fails(const std::string& what) { throw Error(Fault::kResource, what); }

void flip_byte(const fs::path& path, StreamKey key) {
  auto bytes = read_file(path);
  bytes[random_below(key, 0, bytes.size())] ^= 0x10;
  replace_file(path, bytes);
}

// What a file system must keep for checkpoints to be worth anything.
void check_file_system(const fs::path& folder) {
  const auto file = folder / "probe";
  replace_file(file, "old");
  const FileHandle reader(file, FileHandle::Mode::kRead);
  replace_file(file, "new text");
  std::string seen(3, '\0');
  reader.read(seen.data(), 3, 0);
  if (seen != "old" || read_file(file) != "new text") fails("a file that is replaced does not keep its old content");
  if (::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666) >= 0) fails("O_EXCL opens a file that stands");
  FileLock lock(folder / "probe-lock", "the self-test", std::chrono::milliseconds(0));
  if (!lock.is_held()) fails("there are no locks: two runs in one folder would not be noticed");
}

class SelfTest {
 public:
  SelfTest(const Arguments& arguments, std::vector<std::string> launcher)
      : folder_(arguments.folder), key_(arguments.seed), runs_(folder_, std::move(launcher)) {}

  int run() {
    make_folder(folder_);
    write_miniature(folder_);
    line("the file system replaces, excludes and locks", [&] { check_file_system(folder_); });
    line("a run from the first phase to the last", [&] { runs_.finish("undisturbed"); });
    if (failures_ > 0) return end();  // nothing to compare with
    line("the same command again changes nothing", [&] { again(); });
    for (int phase = 0; phase <= 3; ++phase)
      line("a rank killed in phase " + std::to_string(phase), [&, phase] { killed(phase); });
    line("a stop asked for by SIGUSR1", [&] { stopped(); });
    line("a second run in the same folder", [&] { refused(); });
    line("a byte of a checkpoint changed", [&] { damaged_checkpoint(); });
    line("a segment of the cache cut short", [&] { damaged_cache(); });
    line("a rank that hangs", [&] { hung(); });
    return end();
  }

 private:
  void line(const std::string& what, const std::function<void()>& test) {
    const Stopwatch watch;
    std::string outcome = "held";
    try {
      test();
    } catch (const Error& error) {
      outcome = std::string("DID NOT HOLD: ") + error.what();
      ++failures_;
    }
    std::printf("%-48s %6.1f s  %s\n", what.c_str(), watch.seconds(), outcome.c_str());
    std::fflush(stdout);
  }

  int end() const {
    std::printf("%s\n",
                failures_ == 0 ? "everything held" : "not everything held: see above, and the outputs in the folder");
    return failures_ == 0 ? 0 : static_cast<int>(Fault::kResource);
  }

  void again() {
    runs_.finish("undisturbed");
    runs_.expect_told("undisturbed", "finished before");
  }

  // After the first checkpoint of the phase and a little more, by chance.
  void killed(int phase) {
    const auto run = "killed-" + std::to_string(phase);
    const auto child = runs_.start(run);
    const auto wanted = 1 + random_below(key_.with("kill"), static_cast<uint64_t>(phase), 2);
    if (!runs_.wait_for(*child, [&] { return runs_.checkpoints(run, phase).size() >= wanted; }))
      fails("the run ended before it could be killed");
    const pid_t rank = runs_.local_rank(run, random_below(key_.with("rank"), static_cast<uint64_t>(phase), 1000));
    if (rank > 0)
      ::kill(rank, SIGKILL);
    else
      child->signal(SIGKILL);
    if (!child->wait(std::chrono::seconds(30))) fails("the other ranks did not end within 30 s");
    runs_.finish(run);
    // A site of phase 1 that has a checkpoint may be finished by the time of the kill.
    if (phase != 1) runs_.expect_told(run, "newest whole checkpoint");
    runs_.expect_same_models(run, "undisturbed");
  }

  void stopped() {
    const auto child = runs_.start("stopped");
    runs_.wait_for(*child, [&] { return !runs_.checkpoints("stopped", 3).empty(); });
    child->signal(SIGUSR1);
    runs_.expect_end(*child, "stopped", kExitStopped);
    runs_.finish("stopped");
    runs_.expect_same_models("stopped", "undisturbed");
  }

  void refused() {
    const auto child = runs_.start("twice");
    runs_.wait_for(*child, [&] { return !runs_.checkpoints("twice", 0).empty(); });
    bool was_refused = false;
    try {
      FileLock(runs_.run_folder("twice") / "lock", "the self-test", std::chrono::milliseconds(0));
    } catch (const Error&) {
      was_refused = true;
    }
    if (child->is_running() && !was_refused) fails("the folder of a running run is not locked");
    child->signal(SIGUSR1);
    runs_.expect_end(*child, "twice", kExitStopped);
  }

  void damaged_checkpoint() {
    const auto child = runs_.start("damaged");
    runs_.wait_for(*child, [&] { return runs_.checkpoints("damaged", 3).size() >= 2; });
    child->signal(SIGUSR1);
    runs_.expect_end(*child, "damaged", kExitStopped);
    const auto newest = runs_.checkpoints("damaged", 3).back();
    flip_byte(newest / "rank-00000.safetensors", key_.with("byte"));
    runs_.finish("damaged");
    runs_.expect_told("damaged", "passing over the checkpoint of");
    runs_.expect_same_models("damaged", "undisturbed");
  }

  void damaged_cache() {
    const auto child = runs_.start("cache");
    runs_.wait_for(*child, [&] { return !runs_.checkpoints("cache", 1).empty(); });
    child->signal(SIGUSR1);
    runs_.expect_end(*child, "cache", kExitStopped);
    fs::resize_file(runs_.run_folder("cache") / "cache" / "segment-00003.h5", 1000);
    runs_.finish("cache");
    runs_.expect_told("cache", "it is captured again");
    runs_.expect_same_models("cache", "undisturbed");
  }

  void hung() {
    const auto child = runs_.start("hung");
    runs_.wait_for(*child, [&] { return !runs_.checkpoints("hung", 0).empty(); });
    const pid_t first = runs_.local_rank("hung", 0), second = runs_.local_rank("hung", 1);
    if (first == second) return;  // one rank has nobody who could miss it
    ::kill(second, SIGSTOP);
    const auto code = child->wait(std::chrono::seconds(30));
    ::kill(second, SIGKILL);
    if (!code) fails("the other ranks did not end within 30 s");
    runs_.expect_told("hung", "is lost");
    runs_.finish("hung");
    runs_.expect_same_models("hung", "undisturbed");
  }

  fs::path folder_;
  StreamKey key_;
  Rehearsal runs_;
  int failures_ = 0;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("rehearse on this file system and cluster what may happen to a run, and say what held",
               "acm_dist selftest");
  app.add_option("--dir", arguments.folder, "folder to work in, on the file system in question")->capture_default_str();
  app.add_option("--launcher", arguments.launcher,
                 "words before the program, such as \"srun -n 4\" (default: mpirun -n 2 where there is one)");
  app.add_option("--seed", arguments.seed, "of the moments of kills and the bytes that are changed")
      ->capture_default_str();
  app.add_flag("--keep", arguments.keep, "leave the folder behind");
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::Success& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& error) {
    throw Error(Fault::kUsage, std::string(error.what()) + "; acm_dist selftest --help shows what there is");
  }
  return arguments;
}

}  // namespace

bool is_selftest(int argc, char** argv) { return argc > 1 && std::strcmp(argv[1], "selftest") == 0; }

int selftest_command(int argc, char** argv) try {
  auto arguments = parse(argc, argv);
  auto launcher = words_of(arguments.launcher);
  if (launcher.empty() && is_there("mpirun")) launcher = default_launcher();
  arguments.folder = fs::absolute(arguments.folder);
  if (fs::exists(arguments.folder) && !fs::is_empty(arguments.folder))
    throw Error(Fault::kUsage, "cannot rehearse in " + arguments.folder.string() +
                                   ": it is not empty; name a new folder with --dir, or remove it");
  std::cout << "in " << arguments.folder.string()
            << ", started by: " << (launcher.empty() ? "itself, one rank" : Json::array(launcher).dump()) << ", seed "
            << arguments.seed << std::endl;
  const int code = SelfTest(arguments, launcher).run();
  if (code == 0 && !arguments.keep) fs::remove_all(arguments.folder);
  return code;
} catch (const Error& error) {
  std::cerr << "acm_dist: " << error.what() << "\n";
  return static_cast<int>(error.fault());
}

}  // namespace acm::app
