#include "config/read.h"

#include <algorithm>
#include <set>

#include "config/spelling.h"
#include "config/toml.h"
#include "core/error.h"
#include "core/file.h"

namespace acm::config {
namespace {

// Applies one source of values after another and gathers what is wrong with any of them.
class Reader {
 public:
  explicit Reader(const Fields& fields) : fields_(fields) {}
  void take_file(const std::filesystem::path& file);
  void take_override(const std::string& text);
  void check(const CrossRules& cross_rules);
  Origins finish();

 private:
  const Field* find(const std::string& path) const;
  bool is_section(const std::string& path) const;
  std::string unknown_key(const std::string& path) const;
  std::string unknown_section(const std::string& path) const;
  // What is wrong with giving this value to the field; nothing: it was set.
  std::string set(const Field& field, const std::optional<Value>& value, const std::string& shown);
  std::string take_entry(const Entry& entry);
  std::string take_override_value(const Field& field, const std::string& text);
  void fault(const std::string& place, const std::string& sentence) { faults_.push_back(place + ": " + sentence); }

  const Fields& fields_;
  Origins origins_;
  std::map<std::string, std::string> places_;  // of each value that was set, as faults name it
  std::set<std::string> faulty_;               // paths
  std::vector<std::string> faults_;
  bool is_toml_ = true;
};

const Field* Reader::find(const std::string& path) const {
  const auto place = std::ranges::find_if(fields_.all(), [&](const Field& field) { return field.path() == path; });
  return place == fields_.all().end() ? nullptr : &*place;
}

bool Reader::is_section(const std::string& path) const {
  return std::ranges::any_of(fields_.all(), [&](const Field& field) { return field.path().starts_with(path + "."); });
}

std::string Reader::unknown_key(const std::string& path) const {
  std::vector<std::string> known;
  for (const Field& field : fields_.all()) known.push_back(field.path());
  return path + unknown_text(path, "key", known);
}

std::string Reader::unknown_section(const std::string& path) const {
  std::vector<std::string> known;
  for (const auto& [name, meaning] : fields_.sections()) known.push_back(name);
  return "[" + path + "]" + unknown_text(path, "section", known);
}

std::string Reader::set(const Field& field, const std::optional<Value>& value, const std::string& shown) {
  std::optional<Value> fitting = value;
  if (fitting && std::holds_alternative<int64_t>(*fitting) && std::holds_alternative<double>(field.initial)) {
    fitting = static_cast<double>(std::get<int64_t>(*fitting));
  }
  // An array without items is of any kind.
  const auto* items = fitting ? std::get_if<std::vector<std::string>>(&*fitting) : nullptr;
  if (items && items->empty() && std::holds_alternative<std::vector<double>>(field.initial))
    fitting = std::vector<double>();
  std::string sentence;
  if (!fitting || fitting->index() != field.initial.index()) {
    sentence = field.path() + " must be " + type_name(field.initial) + ", got " + shown;
  } else if (!field.rule.holds(*fitting)) {
    sentence = field.path() + " must be " + field.rule.sentence + ", got " + toml_text(*value);
  } else {
    assign(field, *fitting);
  }
  if (!sentence.empty()) faulty_.insert(field.path());
  return sentence;
}

std::string Reader::take_entry(const Entry& entry) {
  if (const Field* field = find(entry.path)) return set(*field, entry.value, entry.shown);
  if (entry.is_table) return is_section(entry.path) ? "" : unknown_section(entry.path);
  if (is_section(entry.path))
    return entry.path + " must be a section, written [" + entry.path + "], got " + entry.shown;
  return unknown_key(entry.path);
}

void Reader::take_file(const std::filesystem::path& file) {
  std::string text;
  try {
    text = acm::read_file(file);
  } catch (const Error& error) {
    throw Error(Fault::kUsage, "cannot read the config: " + std::string(error.what()));
  }
  const auto parsed = parse_toml(text);
  if (const auto* broken = std::get_if<SyntaxFault>(&parsed)) {
    is_toml_ = false;
    return fault(file.string() + ":" + std::to_string(broken->line) + ":" + std::to_string(broken->column),
                 "not TOML: " + broken->sentence);
  }
  std::string unknown;  // the section whose keys are not looked at, as it is a fault by itself
  for (const Entry& entry : std::get<std::vector<Entry>>(parsed)) {
    if (!unknown.empty() && entry.path.starts_with(unknown)) continue;
    const std::string line = file.string() + ":" + std::to_string(entry.line);
    const std::string sentence = take_entry(entry);
    if (!sentence.empty()) {
      fault(line + ":" + std::to_string(entry.column), sentence);
      if (entry.is_table) unknown = entry.path + ".";
    } else if (!entry.is_table) {
      origins_[entry.path] = places_[entry.path] = line;
    }
  }
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::string Reader::take_override_value(const Field& field, const std::string& text) {
  const bool quoted = text.starts_with('"') || text.starts_with('\'');
  // A name such as 2024 or true needs no quotes where only a string is possible.
  if (std::holds_alternative<std::string>(field.initial) && !quoted) return set(field, text, "");
  const auto parsed = parse_toml("value = " + text);
  if (const auto* entries = std::get_if<std::vector<Entry>>(&parsed); entries != nullptr && entries->size() == 1) {
    return set(field, entries->front().value, entries->front().shown);
  }
  if (quoted || text.starts_with('[') || text.starts_with('{')) {
    faulty_.insert(field.path());
    const auto* broken = std::get_if<SyntaxFault>(&parsed);
    return field.path() + " must be a TOML value: " + (broken != nullptr ? broken->sentence : "it is a table");
  }
  return set(field, text, "the string " + toml_text(text));
}

void Reader::take_override(const std::string& text) {
  const std::string place = "--set " + text;
  const auto sign = text.find('=');
  if (sign == std::string::npos) return fault(place, "expected KEY=VALUE");
  const std::string path = trimmed(text.substr(0, sign));
  const Field* field = find(path);
  if (field == nullptr) {
    return fault(place, is_section(path) ? path + " is a section; name one of its keys" : unknown_key(path));
  }
  const std::string sentence = take_override_value(*field, trimmed(text.substr(sign + 1)));
  if (!sentence.empty()) return fault(place, sentence);
  origins_[path] = "--set";
  places_[path] = place;
}

void Reader::check(const CrossRules& cross_rules) {
  // Without the file's values the sentences would speak of the defaults.
  if (!is_toml_ || !cross_rules) return;
  for (const std::string& sentence : cross_rules()) {
    const std::string path = sentence.substr(0, sentence.find(' '));
    // What is said of a value that could not be set is about the default in its stead.
    if (faulty_.contains(path)) continue;
    const auto place = places_.find(path);
    fault(place == places_.end() ? "default" : place->second, sentence);
  }
}

Origins Reader::finish() {
  std::string all;
  for (const std::string& fault : faults_) all += (all.empty() ? "" : "\n") + fault;
  if (!all.empty()) throw Error(Fault::kUsage, all);
  return std::move(origins_);
}

}  // namespace

Origins read(Fields& fields, const std::filesystem::path& file, std::span<const std::string> overrides,
             const CrossRules& cross_rules) {
  Reader reader(fields);
  if (!file.empty()) reader.take_file(file);
  for (const std::string& text : overrides) reader.take_override(text);
  reader.check(cross_rules);
  return reader.finish();
}

}  // namespace acm::config
