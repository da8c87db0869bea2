#include "config/describe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "unit/config/settings.h"

namespace acm::config {
namespace {

const double kInfinity = std::numeric_limits<double>::infinity();

TEST(Rule, Any) {
  EXPECT_EQ(any().sentence, "anything");
  EXPECT_TRUE(any().holds(-1.0));
  EXPECT_TRUE(any().holds(std::string()));
}

TEST(Rule, Positive) {
  EXPECT_EQ(positive().sentence, "positive");
  EXPECT_TRUE(positive().holds(int64_t{1}));
  EXPECT_TRUE(positive().holds(1e-300));
  for (const Value& value : std::vector<Value>{int64_t{0}, int64_t{-1}, 0.0, -0.5, std::nan(""), kInfinity}) {
    EXPECT_FALSE(positive().holds(value)) << toml_text(value);
  }
}

TEST(Rule, NotNegative) {
  EXPECT_EQ(not_negative().sentence, "zero or more");
  EXPECT_TRUE(not_negative().holds(int64_t{0}));
  EXPECT_TRUE(not_negative().holds(0.0));
  for (const Value& value : std::vector<Value>{int64_t{-1}, -1e-9, std::nan(""), kInfinity}) {
    EXPECT_FALSE(not_negative().holds(value)) << toml_text(value);
  }
}

TEST(Rule, Between) {
  EXPECT_EQ(between(-1, 0.25).sentence, "between -1 and 0.25");
  EXPECT_TRUE(between(1, 3).holds(int64_t{1}));
  EXPECT_TRUE(between(1, 3).holds(3.0));
  for (const Value& value : std::vector<Value>{int64_t{0}, int64_t{4}, 3.01, std::nan("")}) {
    EXPECT_FALSE(between(1, 3).holds(value)) << toml_text(value);
  }
}

TEST(Rule, MoreThanAtMost) {
  EXPECT_EQ(more_than_at_most(0, 1).sentence, "more than 0 and at most 1");
  EXPECT_TRUE(more_than_at_most(0, 1).holds(1.0));
  EXPECT_TRUE(more_than_at_most(0, 1).holds(1e-9));
  for (const Value& value : std::vector<Value>{0.0, int64_t{0}, 1.01, std::nan("")}) {
    EXPECT_FALSE(more_than_at_most(0, 1).holds(value)) << toml_text(value);
  }
}

TEST(Rule, OneOf) {
  const Rule rule = one_of({"a", "b"});
  EXPECT_EQ(rule.sentence, "one of \"a\", \"b\"");
  EXPECT_TRUE(rule.holds(std::string("b")));
  EXPECT_FALSE(rule.holds(std::string("c")));
  EXPECT_TRUE(rule.holds(std::vector<std::string>{"b", "a"}));
  EXPECT_FALSE(rule.holds(std::vector<std::string>{"b", "c"}));
}

TEST(Rule, OfNumbersRefusesAString) { EXPECT_THROW(positive().holds(std::string("1")), std::logic_error); }

TEST(Fields, KeepOrderDefaultsAndSections) {
  Settings settings;
  const auto& all = settings.fields.all();
  EXPECT_EQ(all.size(), 11u);
  EXPECT_EQ(all[0].path(), "run_dir");
  EXPECT_EQ(all[2].path(), "distill.learning_rate");
  EXPECT_EQ(settings.fields.sections().at(0).second, "Phase 1.");
  settings.learning_rate = 3;
  EXPECT_EQ(value_of(all[2]), Value(3.0));
  EXPECT_EQ(all[2].initial, Value(1e-4));
  assign(all[2], 7.0);
  EXPECT_EQ(settings.learning_rate, 7.0);
}

TEST(Fields, ASectionMayBeOpenedAgain) {
  Settings settings;
  settings.fields.section("distill", "");
  EXPECT_EQ(settings.fields.sections().size(), 3u);
}

TEST(Fields, RefuseAPathTwice) {
  Settings settings;
  settings.fields.section("acm", "");
  EXPECT_THROW(settings.fields.add("budget", settings.budget, any(), ""), std::logic_error);
}

TEST(TomlText, OfEachType) {
  EXPECT_EQ(toml_text(true), "true");
  EXPECT_EQ(toml_text(int64_t{-3}), "-3");
  EXPECT_EQ(toml_text(0.5), "0.5");
  EXPECT_EQ(toml_text(1.0), "1.0");
  EXPECT_EQ(toml_text(std::nan("")), "nan");
  EXPECT_EQ(toml_text(-kInfinity), "-inf");
  EXPECT_EQ(toml_text(std::string("a\"b\\\n\x7f")), R"("a\"b\\\n\u007F")");
  EXPECT_EQ(toml_text(std::vector<std::string>{"a", "b"}), R"(["a", "b"])");
  EXPECT_EQ(toml_text(std::vector<std::string>{}), "[]");
}

TEST(TypeName, OfEachType) {
  EXPECT_EQ(type_name(false), "true or false");
  EXPECT_EQ(type_name(int64_t{0}), "an integer");
  EXPECT_EQ(type_name(0.0), "a number");
  EXPECT_EQ(type_name(std::string()), "a string");
  EXPECT_EQ(type_name(std::vector<std::string>{}), "an array of strings");
}

}  // namespace
}  // namespace acm::config
