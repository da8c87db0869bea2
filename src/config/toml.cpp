#include "config/toml.h"

#include <toml++/toml.h>
#include <algorithm>
#include <tuple>

#include "config/key_depth.h"

namespace acm::config {
namespace {

// An array whose items are all strings, or all numbers; otherwise `shown` says what else it holds.
std::optional<Value> items_of(const toml::array& array, std::string& shown);

std::optional<Value> value_of_node(const toml::node& node, std::string& shown) {
  const auto take = [&](const char* name, Value value) {
    shown = name + toml_text(value);
    return std::optional(std::move(value));
  };
  if (const auto* flag = node.as_boolean()) return take("", flag->get());
  if (const auto* integer = node.as_integer()) return take("the integer ", integer->get());
  if (const auto* number = node.as_floating_point()) return take("the number ", number->get());
  if (const auto* text = node.as_string()) return take("the string ", text->get());
  if (const auto* array = node.as_array()) return items_of(*array, shown);
  shown = node.is_table() ? "a table" : "a date or time";
  return {};
}

std::optional<Value> items_of(const toml::array& array, std::string& shown) {
  std::vector<std::string> texts;
  std::vector<double> numbers;
  for (const toml::node& item : array) {
    if (const auto* text = item.as_string(); text && numbers.empty()) {
      texts.push_back(text->get());
    } else if (item.is_number() && texts.empty()) {
      numbers.push_back(*item.value<double>());
    } else {
      std::string other;
      value_of_node(item, other);
      shown = "an array that holds " + other;
      return {};
    }
  }
  Value value = numbers.empty() ? Value(std::move(texts)) : Value(std::move(numbers));
  shown = "the array " + toml_text(value);
  return value;
}

void walk(const toml::table& table, const std::string& prefix, std::vector<Entry>& out) {
  for (const auto& [key, node] : table) {
    const auto place = key.source().begin;
    Entry entry{prefix + std::string(key.str()),
                static_cast<int64_t>(place.line),
                static_cast<int64_t>(place.column),
                node.is_table(),
                {},
                {}};
    entry.value = value_of_node(node, entry.shown);
    out.push_back(entry);
    if (const auto* inner = node.as_table()) walk(*inner, entry.path + ".", out);
  }
}

}  // namespace

std::variant<std::vector<Entry>, SyntaxFault> parse_toml(std::string_view text) {
  if (const auto deep = find_deep_key(text)) return *deep;
  try {
    std::vector<Entry> entries;
    walk(toml::parse(text), "", entries);
    std::ranges::stable_sort(entries, {}, [](const Entry& entry) { return std::tuple(entry.line, entry.column); });
    return entries;
  } catch (const toml::parse_error& failure) {
    const auto place = failure.source().begin;
    return SyntaxFault{static_cast<int64_t>(place.line), static_cast<int64_t>(place.column),
                       std::string(failure.description())};
  }
}

}  // namespace acm::config
