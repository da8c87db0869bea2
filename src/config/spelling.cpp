#include "config/spelling.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace acm::config {
namespace {

// Levenshtein: how many letters must be put in, taken out or exchanged.
size_t edits(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < to.size(); ++j) {
      const size_t exchanged = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({exchanged, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string_view last_word(std::string_view path) { return path.substr(path.rfind('.') + 1); }

size_t distance(std::string_view from, std::string_view to) {
  constexpr size_t kOtherSection = 2;  // as much as two letters
  return std::min(edits(from, to), kOtherSection + edits(last_word(from), last_word(to)));
}

// Beyond a third of the letters, a likeness is chance.
size_t farthest(std::string_view name) { return 1 + name.size() / 3; }

}  // namespace

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
  const auto nearest =
      std::ranges::min_element(known, {}, [&](const std::string& other) { return edits(name, other); });
  return nearest != known.end() && edits(name, *nearest) <= farthest(name) ? *nearest : "";
}

std::string unknown_text(std::string_view path, std::string_view noun, std::span<const std::string> known) {
  const std::string text = " is not a known " + std::string(noun) + "; ";
  const auto nearest =
      std::ranges::min_element(known, {}, [&](const std::string& name) { return distance(path, name); });
  const bool near = nearest != known.end() && distance(path, *nearest) <= farthest(path);
  return text + (near ? "did you mean '" + *nearest + "'?" : "--print-config lists the known ones");
}

}  // namespace acm::config
