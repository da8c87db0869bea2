#include "data/image/class_names.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/error.h"
#include "core/file.h"
#include "data/lines.h"

namespace acm::data {
namespace {

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<int32_t> classes_of_numbers(const std::vector<std::string>& texts, int64_t first,
                                        const std::string& source) {
  std::vector<int32_t> classes;
  for (const std::string& text : texts) {
    const int64_t value = *number(text) - first;
    if (value < 0 || value > std::numeric_limits<int32_t>::max() / 2) {
      throw Error(Fault::kData, "cannot use the labels of " + source + ": one is " + text +
                                    ", and data.first_label says that classes count from " + std::to_string(first));
    }
    classes.push_back(static_cast<int32_t>(value));
  }
  return classes;
}

}  // namespace

ClassNames::ClassNames(std::vector<std::string> names, std::string source) : source_(std::move(source)) {
  for (std::string& name : names) {
    if (!class_.emplace(std::move(name), static_cast<int32_t>(size_)).second) {
      throw Error(Fault::kData, "cannot use the class names of " + source_ + ": line " + std::to_string(size_ + 1) +
                                    " names a class for the second time");
    }
    ++size_;
  }
}

ClassNames ClassNames::from_file(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  std::vector<std::string> lines;
  for_each_line(content, [&](std::string_view line, int64_t) { lines.emplace_back(line); });
  if (lines.empty()) throw Error(Fault::kData, "cannot use the class names of " + path.string() + ": it is empty");
  ClassNames names(lines, path.string());
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string first(first_word(lines[i]));
    if (first == lines[i]) continue;
    const auto [place, is_new] = names.class_.emplace(first, static_cast<int32_t>(i));
    if (!is_new) place->second = -1;
  }
  return names;
}

int32_t ClassNames::class_of(std::string_view name, const std::string& where) const {
  const auto found = class_.find(name);
  if (found == class_.end() || found->second < 0) {
    throw Error(Fault::kData, "cannot tell the class of '" + std::string(name) + "' in " + where + ": it is " +
                                  (found == class_.end() ? "none" : "the first word of several") + " of the " +
                                  std::to_string(size_) + " classes of " + source_);
  }
  return found->second;
}

std::optional<ClassNames> given_class_names(const DataConfig& config) {
  if (config.class_names.empty()) return std::nullopt;
  return ClassNames::from_file(std::filesystem::path(config.path) / config.class_names);
}

bool are_numbers(const std::vector<std::string>& texts) {
  return std::ranges::all_of(texts, [](const std::string& text) { return number(text).has_value(); });
}

int64_t assign_classes(ImageIndex& index, const DataConfig& config, const std::optional<ClassNames>& names,
                       const std::string& source) {
  std::vector<int32_t> classes;
  if (are_numbers(index.labels)) {
    classes = classes_of_numbers(index.labels, config.first_label, source);
  } else if (names) {
    for (const std::string& text : index.labels) classes.push_back(names->class_of(text, source));
  } else {
    const auto name = std::ranges::find_if(index.labels, [](const auto& text) { return !number(text); });
    throw Error(Fault::kData, "cannot use the labels of " + source + ": '" + *name +
                                  "' is not a number; list the classes in a file and name it in data.class_names");
  }
  for (ImageEntry& entry : index.entries) entry.label = classes[static_cast<size_t>(entry.label)];
  if (names) return names->size();
  return classes.empty() ? 0 : 1 + *std::ranges::max_element(classes);
}

}  // namespace acm::data
