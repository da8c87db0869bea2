#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/json.h"
#include "io/safetensors.h"

namespace golden {

// One case: NAME.json and, where it has tensors, NAME.safetensors beside it. Comparisons fail the running test; the
// case remembers what was compared, so that a test which leaves out an expected tensor fails too.
class Case {
 public:
  explicit Case(const std::filesystem::path& json_path);

  const acm::Json& json() const { return json_; }
  std::filesystem::path folder() const { return path_.parent_path(); }
  const std::string& kind() const { return json_.at("kind").as_string(); }
  const acm::Json& config() const { return json_.at("config"); }
  bool has(const std::string& name) const { return tensors_ && tensors_->contains(name); }
  at::Tensor tensor(const std::string& name) const;  // Error(kData) where the file has no such tensor
  std::vector<std::string> expected() const;         // names

  // Compares with the expected tensor `name`, within the tolerance that the JSON states for it.
  void expect(const std::string& name, const at::Tensor& actual);
  void expect_all(const std::string& prefix, const acm::io::NamedTensors& actual);
  // Nothing may differ: for values whose very bits matter.
  void expect_equal(const std::string& name, const at::Tensor& actual);
  // Whole numbers, such as pixels, that may differ by so much.
  void expect_within(const std::string& name, const at::Tensor& actual, int64_t largest_difference);
  // `wrong` is what a usual mistake makes of the expected tensor `name`. Where that mistake does show in this case,
  // `actual` must differ from it.
  void expect_not(const std::string& wrong, const std::string& name, const at::Tensor& actual);
  // For what a test compares by itself.
  void note_compared(const std::string& name) { compared_.insert(name); }
  void expect_everything_compared() const;

 private:
  double tolerance(const std::string& name) const;

  std::filesystem::path path_;
  acm::Json json_;
  std::optional<acm::io::SafetensorsFile> tensors_;
  std::set<std::string> compared_;
};

}  // namespace golden
