#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace acm {

// Lines of one rank: to its log file with time and level, and to standard error: warnings and errors always, other
// lines where `echo` is set (rank 0). What all ranks of a group see alike is for its rank 0 to log. Any thread may
// write. Owned by main and passed by reference; there is no global logger.
class Log {
 public:
  // Appends to `file`; an empty path writes to no file. Throws Error(kUsage) where the file cannot be opened.
  Log(const std::filesystem::path& file, bool echo);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void info(std::string_view line);
  void warn(std::string_view line);
  void error(std::string_view line);
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace acm
