#include "config/describe.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/json.h"

namespace acm::config {
namespace {

double number_of(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* number = std::get_if<int64_t>(&value)) return static_cast<double>(*number);
  throw std::logic_error("a rule for numbers was given to a setting that is " + type_name(value));
}

std::string limit_text(double limit) {
  const bool whole = std::trunc(limit) == limit && std::abs(limit) < 1e15;
  return whole ? std::to_string(static_cast<int64_t>(limit)) : Json(limit).dump();
}

std::string string_text(const std::string& text) {
  std::string out;
  // The escapes of JSON are escapes of TOML too; TOML alone also refuses a bare DEL.
  for (const char letter : Json(text).dump()) {
    if (letter == '\x7f') {
      out += "\\u007F";
    } else {
      out += letter;
    }
  }
  return out;
}

std::string list_text(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ", ") + string_text(item);
  return out;
}

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  return Json(number).dump();
}

std::string numbers_text(const std::vector<double>& numbers) {
  std::string out;
  for (const double number : numbers) out += (out.empty() ? "" : ", ") + number_text(number);
  return "[" + out + "]";
}

}  // namespace

Rule any() {
  return {"anything", [](const Value&) { return true; }};
}

Rule positive() {
  return {"positive", [](const Value& value) { return number_of(value) > 0 && std::isfinite(number_of(value)); }};
}

Rule not_negative() {
  return {"zero or more", [](const Value& value) { return number_of(value) >= 0 && std::isfinite(number_of(value)); }};
}

Rule between(double low, double high) {
  return {"between " + limit_text(low) + " and " + limit_text(high),
          [=](const Value& value) { return number_of(value) >= low && number_of(value) <= high; }};
}

Rule more_than_at_most(double low, double high) {
  return {"more than " + limit_text(low) + " and at most " + limit_text(high),
          [=](const Value& value) { return number_of(value) > low && number_of(value) <= high; }};
}

Rule one_of(std::vector<std::string> names) {
  const std::string sentence = "one of " + list_text(names);
  return {sentence, [names = std::move(names)](const Value& value) {
            const auto known = [&](const std::string& name) { return std::ranges::find(names, name) != names.end(); };
            if (const auto* name = std::get_if<std::string>(&value)) return known(*name);
            return std::ranges::all_of(std::get<std::vector<std::string>>(value), known);
          }};
}

void Fields::section(std::string name, std::string meaning) {
  section_ = std::move(name);
  const bool present = std::ranges::any_of(sections_, [&](const auto& section) { return section.first == section_; });
  if (!present) sections_.emplace_back(section_, std::move(meaning));
}

void Fields::append(Field field) {
  for (const Field& other : fields_) {
    if (other.path() == field.path()) throw std::logic_error("the setting " + field.path() + " is described twice");
  }
  fields_.push_back(std::move(field));
}

Value value_of(const Field& field) {
  return std::visit([](const auto* value) { return Value(*value); }, field.value);
}

void assign(const Field& field, const Value& value) {
  std::visit([&](auto* target) { *target = std::get<std::remove_pointer_t<decltype(target)>>(value); }, field.value);
}

std::string type_name(const Value& value) {
  static constexpr const char* kNames[] = {"true or false", "an integer",          "a number",
                                           "a string",      "an array of strings", "an array of numbers"};
  return kNames[value.index()];
}

std::string toml_text(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::to_string(*integer);
  if (const auto* text = std::get_if<std::string>(&value)) return string_text(*text);
  if (const auto* items = std::get_if<std::vector<std::string>>(&value)) return "[" + list_text(*items) + "]";
  if (const auto* numbers = std::get_if<std::vector<double>>(&value)) return numbers_text(*numbers);
  return number_text(std::get<double>(value));
}

}  // namespace acm::config
