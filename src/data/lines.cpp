#include "data/lines.h"

namespace acm::data {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view first_word(std::string_view line) { return line.substr(0, line.find_first_of(" \t")); }

std::string_view without_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

void for_each_line(std::string_view text, const std::function<void(std::string_view, int64_t)>& visit) {
  text = without_mark(text);
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    if (!line.empty()) visit(line, number);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
}

}  // namespace acm::data
