#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace acm::bench {

// What one turn took. `memory`: bytes at the peak since the process began its second turn.
struct Turn {
  double seconds = 0;
  int64_t memory = 0;
};

// The child's end of a Player. Its process computes only between await() and end().
class Turns {
 public:
  Turns(int go, int done);
  void await();              // waits to be let go
  void end(double seconds);  // tells what the turn took
  // Goes on as another program, which reads a byte from its standard input for each turn and writes a Turn to its
  // standard output.
  [[noreturn]] void become(std::vector<std::string> command);

 private:
  int go_, done_;
  int64_t turns_ = 0;
  int64_t anonymous_at_start_;
};

// A process of its own that works when it is let go, so that several can take turns in one run and the memory of each
// is known. To be made before this process has threads.
class Player {
 public:
  Player(std::string name, const std::function<void(Turns&)>& body);
  ~Player();
  Player(const Player&) = delete;

  Turn take();    // one turn of the child; std::runtime_error where it has ended, which it explains itself
  void finish();  // waits for the end of a child that has no turns left; std::runtime_error where it failed

 private:
  std::string name_;
  pid_t child_ = -1;
  int go_ = -1, done_ = -1;
};

// Forward passes or steps of eager PyTorch; `command`: a Python and eager.py.
struct EagerTurns {
  std::string kind, model;  // "forward" or "step"
  int64_t batch;
  int threads;
  std::string device = "cpu", precision = "float32";
  int64_t repeats = 1;  // of a turn, which tells their mean
};
std::unique_ptr<Player> start_eager(std::vector<std::string> command, const EagerTurns& turns);

}  // namespace acm::bench
