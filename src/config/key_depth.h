#pragma once

#include <optional>
#include <string_view>

#include "config/toml.h"

namespace acm::config {

// The first key of a TOML text that has more parts between dots than any setting: each part is a table within a table,
// which the parser and everything after it walk by recursion, and hundreds of thousands exhaust the stack.
std::optional<SyntaxFault> find_deep_key(std::string_view text);

}  // namespace acm::config
