#include "config/key_depth.h"

#include <algorithm>

namespace acm::config {
namespace {

constexpr int kMostDots = 7;

// Walks over a text of TOML outside strings and comments.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<SyntaxFault> run() {
    int dots = 0;  // since the last character that can stand neither in a key nor around its dots
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
      } else if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        if (c == '.' && ++dots > kMostDots) return fault();
        if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) dots = 0;
        ++at_;
      }
    }
    return std::nullopt;
  }

 private:
  // To behind the end of the string that begins here. One that has no end is a fault that the parser finds.
  void skip_string(char quote) {
    const std::string_view three = quote == '"' ? "\"\"\"" : "'''";
    const bool is_long = text_.substr(at_).starts_with(three);
    at_ += is_long ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && quote == '"') {
        ++at_;
      } else if (is_long && text_.substr(at_).starts_with(three)) {
        at_ += 3;
        for (int more = 0; more < 2 && at_ < text_.size() && text_[at_] == quote; ++more) ++at_;
        return;
      } else if (!is_long && (text_[at_] == quote || text_[at_] == '\n')) {
        at_ += text_[at_] == quote ? 1 : 0;
        return;
      }
    }
  }

  SyntaxFault fault() const {
    const std::string_view before = text_.substr(0, at_);
    const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    return {1 + std::ranges::count(before, '\n'), static_cast<int64_t>(at_ - line_start) + 1,
            "a key has more than " + std::to_string(kMostDots + 1) + " parts, and no setting has"};
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<SyntaxFault> find_deep_key(std::string_view text) { return Scanner(text).run(); }

}  // namespace acm::config
