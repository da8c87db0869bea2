#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace acm::config {

// Whether a value can change what a run computes (it enters the fingerprint of the phases that read it) or only how it
// is carried out.
enum class Effect { kResult, kOperation };

using Value = std::variant<bool, int64_t, double, std::string, std::vector<std::string>, std::vector<double>>;
using Reference = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*, std::vector<double>*>;

// What a value must be: `holds` on the value, and the sentence that stands behind "KEY must be" where it does not.
struct Rule {
  std::string sentence;
  std::function<bool(const Value&)> holds;
};

Rule any();
Rule positive();                                  // int or double > 0, finite
Rule not_negative();                              // int or double >= 0, finite
Rule between(double low, double high);            // both ends included
Rule more_than_at_most(double low, double high);  // (low, high]
Rule one_of(std::vector<std::string> names);      // string, or every item of an array

struct Field {
  std::string section;  // "" for the top level
  std::string key;
  Reference value;
  Value initial;  // the default, read when the field was described
  Rule rule;
  std::string meaning;
  Effect effect;
  std::string path() const { return section.empty() ? key : section + "." + key; }
};

// The one list of a program's settings. Reading, checking, printing, the fingerprint and the reference page all walk
// it, so a setting is declared once, beside what it sets:
//   void DistillConfig::describe(Fields& fields) { fields.add("steps", steps, positive(), "optimizer steps a site"); }
class Fields {
 public:
  // Fields added until the next call belong to `[name]`; `meaning` heads the section in the reference page.
  void section(std::string name, std::string meaning);
  // `value` outlives this list, as reading sets it. A path that was added before is a std::logic_error.
  template <typename T>
  void add(std::string key, T& value, Rule rule, std::string meaning, Effect effect = Effect::kResult) {
    append({section_, std::move(key), &value, value, std::move(rule), std::move(meaning), effect});
  }
  const std::vector<Field>& all() const { return fields_; }
  const std::vector<std::pair<std::string, std::string>>& sections() const { return sections_; }

 private:
  void append(Field field);

  std::string section_;
  std::vector<Field> fields_;
  std::vector<std::pair<std::string, std::string>> sections_;  // name, meaning
};

Value value_of(const Field& field);
void assign(const Field& field, const Value& value);  // of the field's own type
std::string type_name(const Value& value);            // "an integer", "an array of strings"
std::string toml_text(const Value& value);            // as a TOML literal: 1, 0.5, "text", ["a", "b"]

}  // namespace acm::config
