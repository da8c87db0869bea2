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

std::string dotted(int parts) {
  std::string key = "a";
  for (int i = 1; i < parts; ++i) key += ".a";
  return key;
}

// Each part would be a table in a table: half a million of them exhaust the stack.
TEST(ParseToml, RefusesKeysOfManyParts) {
  const std::string deep = dotted(500'000);
  for (const std::string& text :
       {"x = 1\n" + deep + " = 1\n", "x = 1\n[" + deep + "]\n", "x = 1\ny = {" + deep + " = 1}\n",
        "x = '''#'''''\n" + deep + " = 1\n", "x = \"\\\"#\"\n'b'." + deep + " = 1"}) {
    const auto parsed = parse_toml(text);
    const auto* broken = std::get_if<SyntaxFault>(&parsed);
    ASSERT_NE(broken, nullptr);
    EXPECT_EQ(broken->line, 2);
    EXPECT_EQ(broken->sentence, "a key has more than 8 parts, and no setting has");
  }
}

TEST(ParseToml, DotsElsewhereAreNoParts) {
  const std::string dots(1000, '.');
  const std::string text = dotted(8) + " = 1\nb = \"" + dots + "\" # " + dots + "\nc = '" + dots + "'\nd = \"\"\"\n" +
                           dots + "\"\"\"\"\"\ne = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]\n";
  EXPECT_TRUE(std::holds_alternative<std::vector<Entry>>(parse_toml(text)));
}

}  // namespace
}  // namespace acm::config
