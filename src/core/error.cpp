#include "core/error.h"

#include <algorithm>
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
    case EIO:
      return {Fault::kResource, "; the disk or the file system fails"};
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

// Bytes of the letter of UTF-8 with which the text begins; 0 where it begins with none.
size_t letter_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t bytes = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (bytes > text.size()) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

void append_escaped(char letter, std::string& out) {
  const auto byte = static_cast<unsigned char>(letter);
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.append("\\x").append(1, kDigits[byte / 16]).append(1, kDigits[byte % 16]);
}

}  // namespace

std::string printable(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t letter = letter_bytes(std::string_view(text).substr(i));
    // U+0080 to U+009F, which begin with 0xc2, are control characters too.
    const bool is_control = (byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7f ||
                            (byte == 0xc2 && letter == 2 && static_cast<unsigned char>(text[i + 1]) < 0xa0);
    if (letter > 0 && !is_control) {
      out.append(text, i, letter);
      i += letter;
    } else {
      for (size_t end = i + std::max<size_t>(letter, 1); i < end; ++i) append_escaped(text[i], out);
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
