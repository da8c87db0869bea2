#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace acm {

// Where a long piece of work stands. Every field is a number or a name that a reader can show as it likes.
struct ProgressReport {
  std::string_view phase = {};             // "pretrain", "capture", "distill", ...
  int64_t done = 0, total = 0;             // in `unit`s
  std::string_view unit = {};              // "steps", "samples", "sites"
  double rate = 0;                         // of `rate_unit`s a second; 0: not known
  std::string_view rate_unit = "samples";  // or "tokens"
  double loss = 0;
  bool has_loss = false;
  double data_wait = -1;  // share of the time spent waiting for samples, in [0, 1]; negative: not known
  std::string note = {};  // such as "site blocks.3.ffn"
};

// A sink of numbers about running work. Implementations decide what to show and how often; a call costs next to
// nothing.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void report(const ProgressReport& report) = 0;
  // The work of that name ended; a line that was being redrawn is finished.
  virtual void finish(std::string_view phase) = 0;
};

// Shows nothing: for ranks other than 0 and for tests.
class SilentProgress final : public Progress {
 public:
  void report(const ProgressReport&) override {}
  void finish(std::string_view) override {}
};

}  // namespace acm
