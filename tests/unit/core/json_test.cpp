#include "core/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "unit/core/expect_error.h"

namespace acm {
namespace {

Json parse(std::string_view text) { return Json::parse(text, "a.json"); }

TEST(Json, DumpIsCanonical) {
  EXPECT_EQ(parse("{ \"b\": [1, 2.50, null, true],\n \"a\": {\"z\": \"\\u00e9\\n\", \"y\": {}} }").dump(),
            R"({"a":{"y":{},"z":"é\n"},"b":[1,2.5,null,true]})");
}

TEST(Json, DumpIndents) {
  EXPECT_EQ(parse(R"({"a":[1,2],"b":{},"c":[]})").dump(2),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {},\n  \"c\": []\n}");
}

TEST(Json, DoublesHaveTheShortestDigitsAndStayDoubles) {
  EXPECT_EQ(Json(0.1).dump(), "0.1");
  EXPECT_EQ(Json(1.0).dump(), "1.0");
  EXPECT_EQ(Json(1e-4).dump(), "1e-4");
  EXPECT_EQ(Json(2.5e+300).dump(), "2.5e+300");
  EXPECT_EQ(Json(1e-10).dump(), "1e-10");
  EXPECT_EQ(Json(-0.0).dump(), "-0.0");
  EXPECT_EQ(Json(5e-324).dump(), "5e-324");
  for (const double value : {1.0, 1e-4, 1e20, 1.0 / 3, 5e-324, std::numeric_limits<double>::max(), -0.0, 123456789.0}) {
    const Json back = parse(Json(value).dump());
    EXPECT_FALSE(back.is_integer()) << value;
    EXPECT_EQ(back.as_double(), value);
    EXPECT_EQ(std::signbit(back.as_double()), std::signbit(value));
  }
}

TEST(Json, WhatIsNotFiniteIsAString) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string text = Json::array(std::vector<double>{std::nan(""), infinity, -infinity}).dump();
  EXPECT_EQ(text, R"(["nan","inf","-inf"])");
  const Json::Array back = parse(text).as_array();
  EXPECT_TRUE(std::isnan(back[0].as_double()));
  EXPECT_EQ(back[1].as_double(), infinity);
  EXPECT_EQ(back[2].as_double(), -infinity);
}

TEST(Json, IntegersKeepAllTheirBits) {
  for (const int64_t value : {int64_t{0}, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    EXPECT_EQ(parse(Json(value).dump()).as_int(), value);
  }
  expect_error(Fault::kData, "does not fit", [] { parse("18446744073709551615"); });
}

TEST(Json, BytesThatAreNotUtf8StillGiveJson) { EXPECT_NO_THROW(parse(Json("a\xff\x01\"\\").dump())); }

TEST(Json, ValuesSayWhatTheyAre) {
  EXPECT_EQ(Json(2.0).as_int(), 2);
  EXPECT_EQ(Json(2).as_double(), 2.0);
  EXPECT_TRUE(Json(true).as_bool());
  EXPECT_EQ(Json("a").as_string(), "a");
  EXPECT_TRUE(Json().is_null());
  expect_error(Fault::kData, "expected an integer in JSON, found 2.5", [] { Json(2.5).as_int(); });
  expect_error(Fault::kData, "expected an integer", [] { Json(1e300).as_int(); });
  expect_error(Fault::kData, "expected an integer", [] { Json(std::nan("")).as_int(); });
  expect_error(Fault::kData, "expected a number in JSON, found \"a\"", [] { Json("a").as_double(); });
  expect_error(Fault::kData, "expected a string in JSON, found null", [] { Json().as_string(); });
  expect_error(Fault::kData, "expected true or false in JSON, found 1", [] { Json(1).as_bool(); });
  expect_error(Fault::kData, "expected an array in JSON, found an object", [] { Json::object().as_array(); });
  expect_error(Fault::kData, "expected an object in JSON, found an array", [] { Json(Json::Array{}).as_object(); });
}

TEST(Json, MembersAreMadeFoundAndMissed) {
  Json value;
  value["a"]["b"] = 1;
  value["list"].push_back(2);
  EXPECT_EQ(value.dump(), R"({"a":{"b":1},"list":[2]})");
  EXPECT_EQ(value.at("a").at("b").as_int(), 1);
  EXPECT_EQ(value.find("c"), nullptr);
  expect_error(Fault::kData, "expected the key \"c\" in a JSON object, found a, list", [&] { value.at("c"); });
  expect_error(Fault::kData, "expected an array", [&] { value["a"].push_back(1); });
  EXPECT_EQ(value, parse(value.dump()));
  EXPECT_FALSE(value == Json());
}

TEST(Json, AMalformedTextIsNamedWithItsPosition) {
  expect_error(Fault::kData, "cannot read a.json as JSON: malformed at line 2, column 8",
               [] { parse("{\n  \"a\": ?\n}"); });
  expect_error(Fault::kData, "malformed at line 1, column 1", [] { parse(""); });
  expect_error(Fault::kData, "malformed", [] { parse("{} {}"); });
  expect_error(Fault::kData, "malformed", [] { parse("[\"\xff\"]"); });
  expect_error(Fault::kData, "malformed at line 1, column 4 (invalid literal; last read: '1,x'); it is damaged",
               [] { parse("[1,x]"); });
}

TEST(Json, NestsToALevelAndNoDeeper) {
  EXPECT_NO_THROW(parse(std::string(200, '[') + std::string(200, ']')));
  const auto deep = [] { parse(std::string(50'000'000, '[')); };  // refused at once, without memory for each bracket
  expect_error(Fault::kData, "more than 200 levels of nesting", deep);
}

TEST(Json, AKeyStandsOnceInAnObject) {
  expect_error(Fault::kData, "cannot read a.json as JSON: the key \"b\" stands twice in an object",
               [] { parse(R"({"a":{"b":1},"c":{"b":1,"\u0062":1}})"); });
}

}  // namespace
}  // namespace acm
