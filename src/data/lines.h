#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace acm::data {

// Without white space at both ends.
std::string_view trimmed(std::string_view text);
// Up to the first blank or tab.
std::string_view first_word(std::string_view line);
// Calls visit(line, number from 1) for each line that is not blank, trimmed. A byte order mark is passed over.
void for_each_line(std::string_view text, const std::function<void(std::string_view, int64_t)>& visit);
// The text without a UTF-8 byte order mark.
std::string_view without_mark(std::string_view text);

}  // namespace acm::data
