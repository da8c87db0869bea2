#include "config/toml.h"

#include <gtest/gtest.h>

namespace acm::config {
namespace {

TEST(ParseToml, GivesEveryKeyInTheOrderOfTheText) {
  const auto parsed = parse_toml("z = 1\n[b.c]\n  y = 'é'\n[a]\nx = [1979-05-27]\n");
  const auto& entries = std::get<std::vector<Entry>>(parsed);
  std::string shown;
  for (const Entry& entry : entries) {
    shown += entry.path + "@" + std::to_string(entry.line) + ":" + std::to_string(entry.column) +
             (entry.is_table ? "T" : "") + (entry.value ? "=" + toml_text(*entry.value) : "") + " (" + entry.shown +
             ")\n";
  }
  EXPECT_EQ(shown,
            "z@1:1=1 (the integer 1)\n"
            "b@2:2T (a table)\n"
            "b.c@2:4T (a table)\n"
            "b.c.y@3:3=\"é\" (the string \"é\")\n"
            "a@4:2T (a table)\n"
            "a.x@5:1 (an array that holds a date or time)\n");
}

TEST(ParseToml, SaysWhereTheTextBreaks) {
  const auto parsed = parse_toml("a = 1\nb = \n");
  const auto& broken = std::get<SyntaxFault>(parsed);
  EXPECT_EQ(broken.line, 2);
  EXPECT_FALSE(broken.sentence.empty());
}

}  // namespace
}  // namespace acm::config
