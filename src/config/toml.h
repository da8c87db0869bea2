#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/describe.h"

namespace acm::config {

// One key of a TOML text, with its table's name before it.
struct Entry {
  std::string path;
  int64_t line, column;  // of the key, from 1
  bool is_table;
  std::optional<Value> value;  // empty for what no setting can hold: tables, dates, arrays of mixed or other things
  std::string shown;           // for messages: "the integer 3", "a table"
};

struct SyntaxFault {
  int64_t line, column;
  std::string sentence;
};

// Every key of the text in the order of the text, tables too; or the first place where it is not TOML.
std::variant<std::vector<Entry>, SyntaxFault> parse_toml(std::string_view text);

}  // namespace acm::config
