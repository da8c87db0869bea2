#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace acm {

// Who can mend a failure; the values are the program's exit codes (75, stopped and resumable, is not a failure).
enum class Fault : int { kUsage = 64, kData = 65, kInternal = 70, kResource = 71 };

constexpr int kExitStopped = 75;

// The text with control characters, except ends of lines and tabs, and bytes that are no UTF-8 written out, as \\x1b:
// messages hold names out of files that anybody may have written, and terminals obey such characters.
std::string printable(const std::string& text);

// The one exception type: something that a user, a file, a disk or a network caused. The message is one sentence that
// says what was being done, to what, what came back and what to do; it is kept printable. Bugs are TORCH_CHECK or
// std::logic_error instead.
class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message, std::source_location where = std::source_location::current())
      : std::runtime_error(printable(message)), fault_(fault), where_(where) {}

  Fault fault() const { return fault_; }
  const std::source_location& where() const { return where_; }

  // True where every rank of the run holds this same error, so that one of them prints it and all may leave in order.
  bool shared() const { return shared_; }
  Error& mark_shared() {
    shared_ = true;
    return *this;
  }

 private:
  Fault fault_;
  std::source_location where_;
  bool shared_ = false;
};

// "what: No such file or directory" from the value of errno, with the fault that fits it: no space is kResource, a
// read-only or forbidden place is kUsage, anything else `otherwise`.
Error errno_error(const std::string& what, int error_number, Fault otherwise = Fault::kData,
                  std::source_location where = std::source_location::current());

}  // namespace acm
