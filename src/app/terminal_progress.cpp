#include "app/terminal_progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace acm::app {
namespace {

constexpr double kRedrawSeconds = 0.1, kLineSeconds = 10;

std::string text(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  char buffer[32];
  if (whole >= 3600) {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld:%02lld", static_cast<long long>(whole / 3600),
                  static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  } else {
    std::snprintf(buffer, sizeof buffer, "%lld:%02lld", static_cast<long long>(whole / 60),
                  static_cast<long long>(whole % 60));
  }
  return buffer;
}

}  // namespace

std::string progress_line(const ProgressReport& report, double seconds_left) {
  std::string line = std::string(report.phase) + " " + std::to_string(report.done) + "/" +
                     std::to_string(report.total) + " " + std::string(report.unit);
  if (report.has_loss) line += "  loss " + text("%.5g", report.loss);
  if (report.rate > 0) line += "  " + text("%.0f", report.rate) + " " + std::string(report.rate_unit) + "/s";
  if (report.data_wait >= 0) line += "  " + text("%.0f", 100 * report.data_wait) + " % data wait";
  if (seconds_left >= 0) line += "  " + duration(seconds_left) + " left";
  if (!report.note.empty()) line += "  " + report.note;
  return line;
}

void TerminalProgress::report(const ProgressReport& report) {
  if (phase_ != report.phase) {
    phase_ = report.phase;
    first_done_ = report.done - 1;
    since_first_.restart();
    since_shown_.restart();
  }
  const double done = static_cast<double>(report.done - first_done_),
               left = static_cast<double>(report.total - report.done);
  last_line_ = progress_line(report, done > 0 ? since_first_.seconds() / done * left : -1);
  if (since_shown_.seconds() < (terminal_ ? kRedrawSeconds : kLineSeconds)) return;
  since_shown_.restart();
  show(last_line_);
}

void TerminalProgress::finish(std::string_view phase) {
  if (phase_ != phase || last_line_.empty()) return;
  show(last_line_);
  if (terminal_) std::fputc('\n', stderr);
  phase_.clear();
  last_line_.clear();
}

void TerminalProgress::show(const std::string& line) {
  if (!terminal_) return log_.info(line);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

bool TerminalProgress::is_terminal() {
  return isatty(STDERR_FILENO) == 1 || std::getenv("ACM_DIST_TERMINAL") != nullptr;
}

}  // namespace acm::app
