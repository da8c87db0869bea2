#include "bench/player.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace acm::bench {
namespace {

// A figure of /proc/self/status, which counts in kB.
int64_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return 1024 * std::stoll(line.substr(name.size() + 1));
  throw std::runtime_error("/proc/self/status has no line " + name);
}

// Linux forgets the peak of the resident memory when a 5 is written here.
void forget_peak() {
  std::ofstream file("/proc/self/clear_refs");
  file << 5 << std::flush;
  if (!file) throw std::runtime_error("cannot reset the peak of the memory: /proc/self/clear_refs is not writable");
}

void must_be_whole(ssize_t bytes, size_t wanted, const std::string& what) {
  if (bytes != static_cast<ssize_t>(wanted)) throw std::runtime_error(what);
}

}  // namespace

Turns::Turns(int go, int done) : go_(go), done_(done), anonymous_at_start_(status_bytes("RssAnon")) {}

void Turns::await() {
  char byte;
  must_be_whole(read(go_, &byte, 1), 1, "the benchmark's first process has ended");
  if (turns_++ == 1) forget_peak();
}

// The peak beyond what the process began with. Pages of files are libraries and files that are read; they are left out.
void Turns::end(double seconds) {
  const Turn turn{seconds,
                  status_bytes("VmHWM") - status_bytes("RssFile") - status_bytes("RssShmem") - anonymous_at_start_};
  must_be_whole(write(done_, &turn, sizeof turn), sizeof turn, "the benchmark's first process has ended");
}

void Turns::become(std::vector<std::string> command) {
  dup2(go_, STDIN_FILENO);
  dup2(done_, STDOUT_FILENO);
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  throw std::runtime_error("cannot start " + command[0]);
}

Player::Player(std::string name, const std::function<void(Turns&)>& body) : name_(std::move(name)) {
  int go[2], done[2];
  if (pipe(go) != 0 || pipe(done) != 0) throw std::runtime_error("no pipe for " + name_);
  child_ = fork();
  if (child_ < 0) throw std::runtime_error("no process for " + name_);
  if (child_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(go[1]);
    close(done[0]);
    try {
      Turns turns(go[0], done[1]);
      body(turns);
      std::fflush(stdout);
      _exit(EXIT_SUCCESS);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
      _exit(EXIT_FAILURE);
    }
  }
  close(go[0]);
  close(done[1]);
  go_ = go[1];
  done_ = done[0];
}

Player::~Player() {
  close(go_);
  close(done_);
  if (child_ < 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

Turn Player::take() {
  Turn turn;
  must_be_whole(write(go_, "", 1), 1, name_ + " has ended");
  must_be_whole(read(done_, &turn, sizeof turn), sizeof turn, name_ + " ended before its turn was over");
  return turn;
}

void Player::finish() {
  int status = 0;
  waitpid(child_, &status, 0);
  child_ = -1;
  if (status != 0) throw std::runtime_error(name_ + " failed");
}

std::unique_ptr<Player> start_eager(std::vector<std::string> command, const EagerTurns& of) {
  command.insert(command.end(), {of.kind, of.model, std::to_string(of.batch), std::to_string(of.threads), of.device,
                                 of.precision, std::to_string(of.repeats)});
  return std::make_unique<Player>("eager PyTorch", [&command](Turns& turns) { turns.become(command); });
}

}  // namespace acm::bench
