#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "core/json.h"

namespace acm {
namespace {

constexpr size_t kMostLevels = 200;  // what we write is shallow; a deeper text is damage, and would exhaust the stack
constexpr size_t kMostShown = 120;   // bytes of the library's remark

// Why a text is refused, where it is not JSON or more than we take.
struct Refusal {
  std::string why;
};

// "line 3, column 7" of the byte at which the parser stopped.
std::string position_text(std::string_view text, size_t bytes) {
  const std::string_view before = text.substr(0, bytes == 0 ? 0 : bytes - 1);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  return "line " + std::to_string(line) + ", column " + std::to_string(before.size() - line_start + 1);
}

// What the library found, without its name, number and position: "unexpected end of input; expected '}'".
std::string remark_of(const std::string& message) {
  const size_t begin = message.find(" - ");
  const std::string remark = begin == message.npos ? message.substr(message.find("] ") + 2) : message.substr(begin + 3);
  return remark.size() <= kMostShown ? remark : remark.substr(0, kMostShown) + "...";
}

// Builds a Json while the text is read, so that a text of many brackets is refused before it takes memory.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(std::string_view text) : text_(text) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override {
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) {
      throw Refusal{"the integer " + std::to_string(value) + " does not fit 64 bits with a sign"};
    }
    return add(static_cast<int64_t>(value));
  }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // not in texts
  bool start_object(size_t) override { return open(Json::Object()); }
  bool start_array(size_t) override { return open(Json::Array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (open_.back()->find(name) != nullptr) {
      throw Refusal{"the key " + Json(name.substr(0, kMostShown)).dump() + " stands twice in an object"};
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& failure) override {
    const bool is_syntax = dynamic_cast<const nlohmann::json::parse_error*>(&failure) != nullptr;
    if (!is_syntax) throw Refusal{remark_of(failure.what())};
    refuse(position, remark_of(failure.what()));
  }
  [[noreturn]] void refuse(size_t position, const std::string& remark) const {
    throw Refusal{"malformed at " + position_text(text_, position) + " (" + remark +
                  "); it is damaged or was edited wrongly"};
  }

 private:
  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return const_cast<Json*>(&parent.as_array().back());
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() > kMostLevels) throw Refusal{"more than " + std::to_string(kMostLevels) + " levels of nesting"};
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  Json root_;
  std::vector<Json*> open_;  // from the root to the object or array that is being read
  std::string key_;
};

}  // namespace

Json Json::parse(std::string_view text, std::string_view source) {
  Builder builder(text);
  try {
    // The library takes a zero byte for the end, whatever stands behind it.
    if (const size_t zero = text.find('\0'); zero != text.npos) builder.refuse(zero + 1, "a zero byte");
    nlohmann::json::sax_parse(text, &builder);
  } catch (const Refusal& refusal) {
    throw Error(Fault::kData, "cannot read " + std::string(source) + " as JSON: " + refusal.why);
  }
  return builder.take();
}

}  // namespace acm
