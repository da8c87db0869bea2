#include "core/json.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace acm {
namespace {

std::string describe(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  const std::string text = value.dump();
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

[[noreturn]] void refuse(const char* expected, const Json& found) {
  throw Error(Fault::kData, std::string("expected ") + expected + " in JSON, found " + describe(found));
}

std::string string_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string number_text(double value) {
  if (std::isnan(value)) return "\"nan\"";
  if (std::isinf(value)) return value > 0 ? "\"inf\"" : "\"-inf\"";
  char digits[32];
  std::string text(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  if (const size_t exponent = text.find('e'); exponent != std::string::npos && text[exponent + 2] == '0') {
    text.erase(exponent + 2, 1);  // 1e-4, not 1e-04
  }
  // Stays a floating-point number when it is read back.
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

void write(const Json& value, int indent, int level, std::string& out);

// The items between two brackets: on one line, or each on its own where indent is not negative.
template <typename Items, typename WriteItem>
void write_items(const Items& items, const char* brackets, int indent, int level, std::string& out,
                 WriteItem write_item) {
  const auto new_line = [&](int levels) {
    if (indent >= 0) out.append("\n").append(static_cast<size_t>(levels * indent), ' ');
  };
  out += brackets[0];
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    new_line(level + 1);
    write_item(item);
  }
  if (!first) new_line(level);
  out += brackets[1];
}

void write(const Json& value, int indent, int level, std::string& out) {
  if (value.is_object()) {
    write_items(value.as_object(), "{}", indent, level, out, [&](const auto& member) {
      out += string_text(member.first) + (indent >= 0 ? ": " : ":");
      write(member.second, indent, level + 1, out);
    });
  } else if (value.is_array()) {
    write_items(value.as_array(), "[]", indent, level, out,
                [&](const Json& item) { write(item, indent, level + 1, out); });
  } else if (value.is_string()) {
    out += string_text(value.as_string());
  } else if (value.is_null()) {
    out += "null";
  } else if (value.is_integer()) {
    out += std::to_string(value.as_int());
  } else if (value.is_number()) {
    out += number_text(value.as_double());
  } else {
    out += value.as_bool() ? "true" : "false";
  }
}

}  // namespace

bool Json::as_bool() const {
  if (const auto* value = std::get_if<bool>(&value_)) return *value;
  refuse("true or false", *this);
}

int64_t Json::as_int() const {
  if (const auto* value = std::get_if<int64_t>(&value_)) return *value;
  const auto* value = std::get_if<double>(&value_);
  if (value == nullptr || std::trunc(*value) != *value || std::abs(*value) >= 0x1p63) refuse("an integer", *this);
  return static_cast<int64_t>(*value);
}

double Json::as_double() const {
  if (const auto* value = std::get_if<double>(&value_)) return *value;
  if (const auto* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  const auto* text = std::get_if<std::string>(&value_);
  if (text != nullptr && *text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text != nullptr && *text == "inf") return std::numeric_limits<double>::infinity();
  if (text != nullptr && *text == "-inf") return -std::numeric_limits<double>::infinity();
  refuse("a number", *this);
}

const std::string& Json::as_string() const {
  if (const auto* value = std::get_if<std::string>(&value_)) return *value;
  refuse("a string", *this);
}

const Json::Array& Json::as_array() const {
  if (const auto* value = std::get_if<Array>(&value_)) return *value;
  refuse("an array", *this);
}

const Json::Object& Json::as_object() const {
  if (const auto* value = std::get_if<Object>(&value_)) return *value;
  refuse("an object", *this);
}

Json::Object& Json::as_object() { return const_cast<Object&>(std::as_const(*this).as_object()); }

const Json& Json::at(std::string_view key) const {
  if (const Json* member = find(key)) return *member;
  constexpr size_t kMostShown = 200;
  std::string present;
  for (const auto& [name, member] : as_object()) {
    if (present.size() + name.size() > kMostShown) {
      present += (present.empty() ? "" : " and ") + std::to_string(as_object().size()) + " in all";
      break;
    }
    present += (present.empty() ? "" : ", ") + name;
  }
  throw Error(Fault::kData, "expected the key \"" + std::string(key) + "\" in a JSON object, found " +
                                (present.empty() ? "none" : present));
}

const Json* Json::find(std::string_view key) const {
  const Object& members = as_object();
  const auto place = members.find(key);
  return place == members.end() ? nullptr : &place->second;
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object();
  Object& members = as_object();
  return members.try_emplace(std::string(key)).first->second;
}

void Json::push_back(Json item) {
  if (is_null()) value_ = Array();
  if (!is_array()) refuse("an array", *this);
  std::get<Array>(value_).push_back(std::move(item));
}

std::string Json::dump(int indent) const {
  std::string out;
  write(*this, indent, 0, out);
  return out;
}

}  // namespace acm
