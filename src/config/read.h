#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"
#include "core/json.h"

namespace acm::config {

// Rules that speak of several fields: each broken one is a sentence that begins with the path of the field to change
// ("acm.learners must ...").
using CrossRules = std::function<std::vector<std::string>()>;

// Where each value came from, by path: "default", "configs/tiny.toml:14" or "--set". Paths without an entry are
// defaults.
using Origins = std::map<std::string, std::string>;

// Sets `fields` from a TOML file (none where its path is empty) and then from `overrides` ("section.key=value", the
// value as TOML; a bare word is a string). Unknown keys (the nearest key is named), wrong types, broken rules and
// broken cross rules are all collected into one Error(kUsage), a line each: "configs/tiny.toml:14:3:
// distill.learning_rate must be positive, got -1"; faults of an override begin with "--set distill.learning_rate=-1:".
// An integer is taken where a double is expected.
Origins read(Fields& fields, const std::filesystem::path& file, std::span<const std::string> overrides,
             const CrossRules& cross_rules);

// "key = value" lines under [section] headings, each with its origin as a comment: what --print-config shows.
std::string print(const Fields& fields, const Origins& origins);
// The same without origins: the resolved file of the run folder; reading it back gives the same values.
std::string to_toml(const Fields& fields);
// {path: value} of the result fields whose path is, or lies in a section that is, named in `names` ("" is not a
// section; name top-level keys by themselves). "-acm.budget" leaves one out. A name that fits no field is a
// std::logic_error, as the fingerprint would lack it.
Json result_fields(const Fields& fields, std::span<const std::string_view> names);
// docs/config.md: a table for each section with key, type, default, rule, meaning, and whether it is a result or an
// operation.
std::string reference_page(const Fields& fields);

}  // namespace acm::config
