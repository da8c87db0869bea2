#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace acm::app {

// A program started by the self-test, in a process group of its own; its output goes to a file. The destructor kills
// what still runs of the group.
class Child {
 public:
  // Error(kUsage) where the program cannot be started.
  Child(const std::vector<std::string>& words, const std::filesystem::path& output);
  ~Child();
  Child(const Child&) = delete;

  bool is_running();
  // The exit code, 128 + number for a signal; nothing where it still runs after `patience`.
  std::optional<int> wait(std::chrono::milliseconds patience);
  void signal(int number) const;  // to the program alone, as a batch system does

 private:
  pid_t pid_;
  std::optional<int> code_;
};

}  // namespace acm::app
