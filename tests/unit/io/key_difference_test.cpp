#include "io/key_difference.h"

#include <gtest/gtest.h>

namespace acm::io {
namespace {

Json parse(const char* text) { return Json::parse(text, "test"); }

TEST(KeyDifference, NamesEveryMemberWithBothValues) {
  const Json was =
      parse(R"({"data": {"mean": 0.5, "std": 1.0}, "seed": 1, "sites": [{"name": "a"}, {"name": "b"}], "old": true})");
  const Json is =
      parse(R"({"data": {"mean": 0.4, "std": 1.0}, "seed": 1, "sites": [{"name": "a"}, {"name": "c"}], "new": "x"})");
  EXPECT_EQ(key_difference(was, is),
            "data.mean was 0.5 and is 0.4, new was absent and is \"x\", old was true and is absent, "
            "sites[1].name was \"b\" and is \"c\"");
  EXPECT_EQ(key_difference(was, was), "");
}

TEST(KeyDifference, CutsLongValuesAndLists) {
  Json was = Json::object(), is = Json::object();
  for (int i = 0; i < 12; ++i) was["k" + std::to_string(i)] = i;
  EXPECT_TRUE(key_difference(was, is).ends_with(" and 4 more"));
  EXPECT_LT(key_difference(Json(std::string(1000, 'x')), Json(1)).size(), 150u);
}

}  // namespace
}  // namespace acm::io
