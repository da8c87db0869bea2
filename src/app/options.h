#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/stopwatch.h"
#include "nn/import.h"

namespace acm::app {

// What the command line asks for.
struct Options {
  enum class Command {
    kTrain,
    kEvaluate,
    kEstimate,
    kImport,
    kExport,
    kInspect,
    kReference,
    kNothing
  };  // kNothing: --help or --version was answered
  Command command = Command::kTrain;
  std::string phase;  // "0".."3" or "all"
  std::filesystem::path config;
  std::vector<std::string> overrides;
  bool print_config = false, dry_run = false, quiet = false, json = false;
  std::optional<int> ranks;            // --dry-run: plan for so many
  std::optional<double> seconds_left;  // --time-left: until the run is ended from outside, counted from `parsed`
  Stopwatch parsed;
  std::filesystem::path model;      // eval, export
  std::optional<int64_t> choice;    // eval: learners fixed at all sites
  std::vector<double> budgets;      // eval: wanted shares of the learners' cost
  std::string precision;            // eval: numbers that products multiply; empty: those of the model file
  bool store = false;               // eval: keeps the shifts for them in the model file
  std::filesystem::path weights;    // import: of another library
  std::filesystem::path inspected;  // inspect: a file or folder
  std::filesystem::path out;        // import: a model file; export: a folder
  nn::ImportOptions import;
  std::string library = "acm";                        // export: whose names
  std::vector<int> rank_counts = {8, 64, 512, 1024};  // estimate: for so many ranks
  std::string machine = "cpu";                        // estimate: its name, or a file
  bool measure = false;                               // estimate: figures of the machine that this runs on
  bool speech = false;                                // estimate: of speech (app/speech_plan.h), without a config
  std::optional<int64_t> samples;                     // estimate: training samples, instead of those there are
};

// Error(kUsage) says what is wrong with the command line. Help goes to standard output where `speak` is set (rank 0).
Options parse_options(int argc, char** argv, bool speak);

}  // namespace acm::app
