#pragma once

#include <map>
#include <string>
#include <vector>

#include "nn/import/files.h"
#include "nn/import/scheme.h"

namespace acm::nn {

// The tensors of a library's files by what they are in our model, before any is read.
class Inventory {
 public:
  // Error(kData) where no scheme's patch embedding is among the names.
  explicit Inventory(const WeightFiles& files);

  const WeightFiles& files() const { return files_; }
  const Scheme& scheme() const { return *scheme_; }
  int64_t depth() const { return depth_; }
  const std::vector<std::string>& ignored() const { return ignored_; }

  // One of ours, as part `part` of `parts` of the tensor `theirs`.
  struct Part {
    std::string theirs;
    int64_t part = 0, parts = 1;
  };
  const Part* find(const std::string& ours) const;
  bool has(const std::string& ours) const { return find(ours) != nullptr; }
  // Extent of one of ours along an axis; 0 where it is not there or has no such axis.
  int64_t extent(const std::string& ours, size_t axis) const;

  // Error(kData) lists at once what is missing, unexpected or of another shape in a model of this shape; `more` are
  // sentences on other faults. `without_head`: the head may be missing.
  void check_against(const VitConfig& config, bool without_head, const std::vector<std::string>& more) const;

 private:
  int64_t number_of_block(const std::string& name) const;  // -1 where the name is of none
  std::string without_number(const std::string& name) const;

  const WeightFiles& files_;
  const Scheme* scheme_ = nullptr;
  std::vector<std::string> block_beginnings_;  // such as "blocks."
  int64_t depth_ = 0;
  std::map<std::string, Part> parts_;
  std::vector<std::string> ignored_;
  std::map<std::string, std::vector<std::string>> places_;  // theirs to ours, of the names that are known
  std::map<std::string, std::string> strangers_;  // unknown names, and what they belong to where that is known
};

}  // namespace acm::nn
