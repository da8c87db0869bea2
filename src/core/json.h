#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace acm {

// A JSON value. Objects keep their keys sorted, so dump() is canonical: equal values have equal text. Integers and
// floating-point numbers stay apart; a double is written with the shortest digits that read back to the same bits.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  Json() : value_(nullptr) {}
  Json(std::nullptr_t) : value_(nullptr) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(static_cast<int64_t>(value)) {}
  Json(int64_t value) : value_(value) {}
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  static Json object(std::initializer_list<std::pair<const std::string, Json>> members = {}) {
    return Object(members.begin(), members.end());
  }
  template <typename Range>
  static Json array(const Range& items) {
    Array out;
    for (const auto& item : items) out.emplace_back(item);
    return out;
  }

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(value_); }
  bool is_number() const { return std::holds_alternative<int64_t>(value_) || std::holds_alternative<double>(value_); }

  // Each throws Error(kData) that says what was expected and what is there.
  bool as_bool() const;
  int64_t as_int() const;    // also from a double without a fraction
  double as_double() const;  // also from an integer, and from the strings that dump() writes for NaN and infinities
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;
  Object& as_object();

  // Member of an object: at() throws Error(kData) naming a missing key; find() gives null; [] makes it (and an object
  // of null, as push_back() makes an array of null).
  const Json& at(std::string_view key) const;
  const Json* find(std::string_view key) const;
  Json& operator[](std::string_view key);
  void push_back(Json item);

  std::string dump(
      int indent = -1) const;  // -1: one line. NaN and infinities are written as the strings "nan", "inf", "-inf"
  // `source` names the text in the Error(kData) that one causes which is malformed, names a key twice or nests too
  // deeply.
  static Json parse(std::string_view text, std::string_view source);

  friend bool operator==(const Json&, const Json&) = default;

 private:
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value_;
};

}  // namespace acm
