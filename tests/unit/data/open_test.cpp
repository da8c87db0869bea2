#include "data/open.h"

#include <gtest/gtest.h>

#include <map>

namespace acm::data {
namespace {

// The fields of [data] by key; `config` must outlive them.
std::map<std::string, config::Field> fields_of(DataConfig& config) {
  config::Fields fields;
  fields.section("data", "The data set");
  config.describe(fields);
  std::map<std::string, config::Field> by_key;
  for (const config::Field& field : fields.all()) by_key.emplace(field.key, field);
  return by_key;
}

TEST(DataConfig, OnlyThePathIsWrongByDefault) {
  DataConfig config;
  for (const auto& [key, field] : fields_of(config)) {
    EXPECT_EQ(field.section, "data");
    EXPECT_EQ(field.rule.holds(config::value_of(field)), key != "path") << key;
  }
}

TEST(DataConfig, RulesRefuseNonsense) {
  DataConfig config;
  const auto fields = fields_of(config);
  const auto refuses = [&](const char* key, config::Value value) { return !fields.at(key).rule.holds(value); };
  EXPECT_TRUE(refuses("kind", std::string("cifar")));
  EXPECT_TRUE(refuses("train", std::vector<std::string>{}));
  EXPECT_TRUE(refuses("test", std::vector<std::string>{"images", ""}));
  EXPECT_TRUE(refuses("std", std::vector{0.0}));
  EXPECT_TRUE(refuses("mean", std::vector{0.5, 0.5}));
  EXPECT_TRUE(refuses("loader_threads", int64_t{-1}));
  EXPECT_FALSE(refuses("path", std::string("data/mnist")));
}

TEST(DataConfig, WhereAndHowItIsReadIsNoPartOfTheResult) {
  DataConfig config;
  for (const auto& [key, field] : fields_of(config)) {
    const bool is_operation = key == "path" || key == "loader_threads" || key == "max_pixels";
    EXPECT_EQ(field.effect == config::Effect::kOperation, is_operation) << key;
  }
}

TEST(OpenSource, AnUnknownKindIsABug) {
  DataConfig config;
  config.kind = "other";
  EXPECT_THROW(open_source(config, Split::kTrain), std::logic_error);
}

}  // namespace
}  // namespace acm::data
