#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace acm::app {

// What the command line asks for.
struct Options {
  enum class Command { kTrain, kEvaluate, kReference, kNothing };  // kNothing: --help or --version was answered
  Command command = Command::kTrain;
  std::string phase;  // "0".."3" or "all"
  std::filesystem::path config;
  std::vector<std::string> overrides;
  bool print_config = false, dry_run = false, quiet = false, json = false;
  std::filesystem::path model;    // eval
  std::optional<int64_t> choice;  // eval: learners fixed at all sites
};

// Error(kUsage) says what is wrong with the command line. Help goes to standard output where `speak` is set (rank 0).
Options parse_options(int argc, char** argv, bool speak);

}  // namespace acm::app
