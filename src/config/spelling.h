#pragma once

#include <span>
#include <string>
#include <string_view>

namespace acm::config {

// " is not a known NOUN; did you mean 'distill.steps'?": the tail of a fault about `path`, with the nearest of `known`
// where one is near. The same last word in another section is near too.
std::string unknown_text(std::string_view path, std::string_view noun, std::span<const std::string> known);

}  // namespace acm::config
