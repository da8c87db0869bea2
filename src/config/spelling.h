#pragma once

#include <span>
#include <string>
#include <string_view>

namespace acm::config {

// " is not a known NOUN; did you mean 'distill.steps'?": the tail of a fault about `path`, with the nearest of `known`
// where one is near. The same last word in another section is near too.
std::string unknown_text(std::string_view path, std::string_view noun, std::span<const std::string> known);

// The nearest of `known`, where it differs from `name` in at most a third of the letters; else empty.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace acm::config
