#include "io/key_difference.h"

#include <set>
#include <vector>

namespace acm::io {
namespace {

constexpr size_t kMostMembers = 8;
constexpr size_t kMostCharacters = 80;

std::string shown(const Json* value) {
  if (value == nullptr) return "absent";
  std::string text = value->dump();
  if (text.size() > kMostCharacters) text = text.substr(0, kMostCharacters) + "...";
  return text;
}

void collect(const std::string& path, const Json* was, const Json* is, std::vector<std::string>& out) {
  if (was != nullptr && is != nullptr) {
    if (*was == *is) return;
    if (was->is_object() && is->is_object()) {
      std::set<std::string> names;
      for (const auto& [name, value] : was->as_object()) names.insert(name);
      for (const auto& [name, value] : is->as_object()) names.insert(name);
      const std::string prefix = path.empty() ? "" : path + ".";
      for (const std::string& name : names) collect(prefix + name, was->find(name), is->find(name), out);
      return;
    }
    if (was->is_array() && is->is_array() && was->as_array().size() == is->as_array().size()) {
      for (size_t i = 0; i < was->as_array().size(); ++i) {
        collect(path + "[" + std::to_string(i) + "]", &was->as_array()[i], &is->as_array()[i], out);
      }
      return;
    }
  }
  out.push_back((path.empty() ? "the key" : path) + " was " + shown(was) + " and is " + shown(is));
}

}  // namespace

std::string key_difference(const Json& was, const Json& is) {
  std::vector<std::string> members;
  collect("", &was, &is, members);
  std::string text;
  for (size_t i = 0; i < members.size() && i < kMostMembers; ++i) text += (i == 0 ? "" : ", ") + members[i];
  if (members.size() > kMostMembers) text += " and " + std::to_string(members.size() - kMostMembers) + " more";
  return text;
}

}  // namespace acm::io
