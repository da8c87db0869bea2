#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image_index.h"
#include "data/open.h"

namespace acm::data {

// Which name is which class.
class ClassNames {
 public:
  // In this order; `source` says in messages where they come from.
  ClassNames(std::vector<std::string> names, std::string source);
  // A file with one class a line: the line, or its first word, is the name. Error(kData) where two lines are equal.
  static ClassNames from_file(const std::filesystem::path& path);

  // Error(kData) for a name that is no class; `where` says in messages where it stands.
  int32_t class_of(std::string_view name, const std::string& where) const;
  int64_t size() const { return size_; }

 private:
  std::map<std::string, int32_t, std::less<>> class_;  // -1: the first word of several lines
  std::string source_;
  int64_t size_ = 0;
};

// The classes that data.class_names lists, if it is given.
std::optional<ClassNames> given_class_names(const DataConfig& config);

// Whether all texts are whole numbers.
bool are_numbers(const std::vector<std::string>& texts);

// Replaces the labels of the entries (which text) by classes: numbers less data.first_label, or names. Returns the
// number of classes: that of `names`, or else as many as the numbers need. `source` says where the labels stand.
int64_t assign_classes(ImageIndex& index, const DataConfig& config, const std::optional<ClassNames>& names,
                       const std::string& source);

}  // namespace acm::data
