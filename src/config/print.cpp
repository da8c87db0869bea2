#include <algorithm>
#include <stdexcept>

#include "config/read.h"

namespace acm::config {
namespace {

// The sections in their order, the top level first, as TOML wants it.
std::vector<std::pair<std::string, std::string>> ordered_sections(const Fields& fields) {
  std::vector<std::pair<std::string, std::string>> sections = fields.sections();
  const auto top = std::ranges::find_if(sections, [](const auto& section) { return section.first.empty(); });
  if (top == sections.end()) {
    sections.emplace(sections.begin());
  } else {
    std::rotate(sections.begin(), top, top + 1);
  }
  return sections;
}

std::vector<const Field*> fields_of(const Fields& fields, const std::string& section) {
  std::vector<const Field*> out;
  for (const Field& field : fields.all()) {
    if (field.section == section) out.push_back(&field);
  }
  return out;
}

template <typename Comment>
std::string write(const Fields& fields, Comment comment) {
  std::string out;
  for (const auto& [name, meaning] : ordered_sections(fields)) {
    const auto members = fields_of(fields, name);
    if (members.empty()) continue;
    if (!out.empty()) out += "\n";
    if (!name.empty()) out += "[" + name + "]\n";
    for (const Field* field : members) out += field->key + " = " + toml_text(value_of(*field)) + comment(*field) + "\n";
  }
  return out;
}

bool lies_in(const Field& field, std::string_view name) {
  const std::string path = field.path();
  return path == name || path.starts_with(std::string(name) + ".");
}

Json json_of(const Value& value) {
  if (const auto* items = std::get_if<std::vector<std::string>>(&value)) return Json::array(*items);
  if (const auto* numbers = std::get_if<std::vector<double>>(&value)) return Json::array(*numbers);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer;
  return std::get<bool>(value);
}

std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text + " | ";
}

std::string table_row(const Field& field) {
  std::string row = "| " + cell("`" + field.key + "`") + cell(type_name(field.initial)) +
                    cell("`" + toml_text(field.initial) + "`") + cell(field.rule.sentence) + cell(field.meaning) +
                    cell(field.effect == Effect::kResult ? "result" : "operation");
  row.back() = '\n';
  return row;
}

}  // namespace

std::string print(const Fields& fields, const Origins& origins) {
  return write(fields, [&](const Field& field) {
    const auto origin = origins.find(field.path());
    return "  # " + (origin == origins.end() ? "default" : origin->second);
  });
}

std::string to_toml(const Fields& fields) {
  return write(fields, [](const Field&) { return ""; });
}

Json result_fields(const Fields& fields, std::span<const std::string_view> names) {
  Json::Object out;
  for (const bool leaving_out : {false, true}) {
    for (std::string_view name : names) {
      if (name.starts_with('-') != leaving_out) continue;
      if (leaving_out) name.remove_prefix(1);
      bool found = false;
      for (const Field& field : fields.all()) {
        if (!lies_in(field, name)) continue;
        found = true;
        if (leaving_out) {
          out.erase(field.path());
        } else if (field.effect == Effect::kResult) {
          out.insert_or_assign(field.path(), json_of(value_of(field)));
        }
      }
      if (!found) throw std::logic_error("no setting is, or lies in, " + std::string(name));
    }
  }
  return out;
}

std::string reference_page(const Fields& fields) {
  std::string out =
      "# Settings\n\n"
      "<!-- generated: acm_dist reference > docs/config.md -->\n\n"
      "One TOML file covers all phases; `--set section.key=value` changes one setting of a run, and `--print-config` "
      "shows each\n"
      "value with where it came from. A *result* setting can change what a run computes: a phase that has begun keeps "
      "its\n"
      "values. An *operation* setting says how the work is carried out and may change at any time.\n";
  for (const auto& [name, meaning] : ordered_sections(fields)) {
    const auto members = fields_of(fields, name);
    if (members.empty()) continue;
    out += "\n## " + (name.empty() ? std::string("Top level") : "`[" + name + "]`") + "\n\n";
    if (!meaning.empty()) out += meaning + "\n\n";
    out += "| Key | Type | Default | Must be | Meaning | Effect |\n|---|---|---|---|---|---|\n";
    for (const Field* field : members) out += table_row(*field);
  }
  return out;
}

}  // namespace acm::config
