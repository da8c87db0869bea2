#include "data/image/shard_names.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

#include "core/error.h"

namespace acm::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostShards = 1'000'000;

[[noreturn]] void fail(Fault fault, const std::string& pattern, const std::string& what) {
  throw Error(fault, "cannot find the shards '" + pattern + "': " + what);
}

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// The first {a..b} of a pattern, written out; the numbers keep the width of the first.
void expand_braces(const std::string& pattern, std::vector<std::string>& out) {
  const size_t open = pattern.find('{');
  if (open == pattern.npos) {
    out.push_back(pattern);
    return;
  }
  const size_t close = pattern.find('}', open), dots = pattern.find("..", open);
  if (close == pattern.npos || dots == pattern.npos || dots > close) {
    fail(Fault::kUsage, pattern, "braces hold two numbers, as in {0000..0123}");
  }
  const std::string low_text = pattern.substr(open + 1, dots - open - 1);
  const auto low = number(low_text), high = number(pattern.substr(dots + 2, close - dots - 2));
  if (!low || !high || *low > *high || *high - *low >= kMostShards) {
    fail(Fault::kUsage, pattern, "braces hold two numbers, the smaller first, as in {0000..0123}");
  }
  for (int64_t i = *low; i <= *high; ++i) {
    std::string digits = std::to_string(i);
    if (digits.size() < low_text.size()) digits.insert(0, low_text.size() - digits.size(), '0');
    expand_braces(pattern.substr(0, open) + digits + pattern.substr(close + 1), out);
  }
}

void expand_star(const fs::path& root, const std::string& pattern, std::vector<std::string>& out) {
  const fs::path path(pattern);
  if (path.parent_path().string().find('*') != std::string::npos) {
    fail(Fault::kUsage, pattern, "only the last part of a path may hold *");
  }
  const std::string name = path.filename().string();
  if (name.find('*') == name.npos) {
    out.push_back(pattern);
    return;
  }
  std::error_code failure;
  fs::directory_iterator entries(root / path.parent_path(), failure);
  if (failure) throw errno_error("cannot list the folder " + (root / path.parent_path()).string(), failure.value());
  const size_t before = out.size();
  for (const fs::directory_entry& entry : entries) {
    const std::string file = entry.path().filename().string();
    if (::fnmatch(name.c_str(), file.c_str(), FNM_PERIOD) == 0) out.push_back((path.parent_path() / file).string());
  }
  if (out.size() == before)
    fail(Fault::kData, pattern, "no file in " + root.string() + " is called so; check data.path");
}

}  // namespace

std::vector<std::string> shard_names(const fs::path& root, const std::vector<std::string>& patterns) {
  std::vector<std::string> names;
  for (const std::string& pattern : patterns) {
    if (pattern.starts_with("pipe:") || pattern.find("://") != pattern.npos) {
      fail(Fault::kUsage, pattern, "shards are files; commands are not run and addresses not fetched");
    }
    std::vector<std::string> plain;
    expand_braces(pattern, plain);
    for (const std::string& one : plain) expand_star(root, one, names);
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace acm::data
