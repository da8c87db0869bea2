#include "core/error.h"

#include <cerrno>
#include <string_view>
#include <system_error>

namespace acm {
namespace {

struct Verdict {
  Fault fault;
  const char* advice;
};

Verdict judge(int error_number, Fault otherwise) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return {Fault::kResource, "; free some space or choose another place"};
    case EFBIG:
      return {Fault::kResource, "; raise the limit on file sizes ('ulimit -f')"};
    case EMFILE:
    case ENFILE:
      return {Fault::kResource, "; raise the limit on open files ('ulimit -n')"};
    case ENOMEM:
      return {Fault::kResource, "; free some memory"};
    case EACCES:
    case EPERM:
      return {Fault::kUsage, "; check its permissions or choose another place"};
    case ENOENT:
    case ENOTDIR:
      return {otherwise, "; check the path"};
    case EROFS:
      return {Fault::kUsage, "; choose a place that can be written to"};
    default:
      return {otherwise, ""};
  }
}

void append_escaped(unsigned char byte, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.append("\\x").append(1, kDigits[byte / 16]).append(1, kDigits[byte % 16]);
}

}  // namespace

std::string printable(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F, as UTF-8, are control characters too.
    const bool is_pair =
        byte == 0xc2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xe0) == 0x80;
    if ((byte >= ' ' && byte != 0x7f && !is_pair) || byte == '\n' || byte == '\t') {
      out += text[i];
    } else {
      append_escaped(byte, out);
      if (is_pair) append_escaped(static_cast<unsigned char>(text[++i]), out);
    }
  }
  return out;
}

Error errno_error(const std::string& what, int error_number, Fault otherwise, std::source_location where) {
  const Verdict verdict = judge(error_number, otherwise);
  // Not strerror(): any thread may be here.
  return Error(verdict.fault, what + ": " + std::generic_category().message(error_number) + verdict.advice, where);
}

}  // namespace acm
