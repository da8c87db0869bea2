#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/selftest/child.h"

namespace acm::app {

// Runs of the miniature in one folder, and what the self-test does to them. Members throw an Error that says what did
// not hold.
class Rehearsal {
 public:
  // `launcher`: the words before the program, such as {"mpirun", "-n", "2"}; empty: one rank.
  Rehearsal(std::filesystem::path folder, std::vector<std::string> launcher);

  // Starts the miniature in the run folder of this name.
  std::unique_ptr<Child> start(const std::string& run) const;
  // Waits for it and compares the exit code.
  void expect_end(Child& child, const std::string& run, int code) const;
  // Starts it and waits for its orderly end.
  void finish(const std::string& run) const;
  // Waits until `condition` holds while the run goes on; false where it ended before.
  bool wait_for(Child& child, const std::function<bool()>& condition) const;

  // The output of the last start of a run has this text.
  void expect_told(const std::string& run, const std::string& text) const;
  // The models of a run are, byte by byte, those of another.
  void expect_same_models(const std::string& run, const std::string& other) const;

  std::filesystem::path run_folder(const std::string& run) const { return folder_ / run; }
  // Checkpoints of a phase, at all of its sites, that have a manifest.
  std::vector<std::filesystem::path> checkpoints(const std::string& run, int phase) const;
  // A rank of a running run that lives on this host; 0 where there is none.
  pid_t local_rank(const std::string& run, size_t number) const;

 private:
  std::filesystem::path output_of(const std::string& run) const { return folder_ / (run + ".out"); }

  std::filesystem::path folder_;
  std::vector<std::string> launcher_;
};

}  // namespace acm::app
