#include "golden/case.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "golden/closeness.h"

namespace golden {

namespace {

std::vector<std::string> names(const acm::Json& json, const char* list) {
  std::vector<std::string> out;
  const acm::Json* found = json.find(list);
  if (found == nullptr) return out;
  for (const acm::Json& name : found->as_array()) out.push_back(name.as_string());
  return out;
}

}  // namespace

Case::Case(const std::filesystem::path& json_path)
    : path_(json_path), json_(acm::Json::parse(acm::read_file(json_path), json_path.string())) {
  if (json_.find("expected") != nullptr) {
    tensors_.emplace(std::filesystem::path(json_path).replace_extension(".safetensors"));
  }
}

at::Tensor Case::tensor(const std::string& name) const {
  if (!has(name)) throw acm::Error(acm::Fault::kData, "reading a golden case: it has no tensor named " + name);
  return tensors_->read(name);
}

std::vector<std::string> Case::expected() const { return names(json_, "expected"); }

void Case::expect(const std::string& name, const at::Tensor& actual) {
  compared_.insert(name);
  EXPECT_TRUE(is_close(actual, tensor(name), tolerance(name))) << "in " << name;
}

void Case::expect_all(const std::string& prefix, const acm::io::NamedTensors& actual) {
  for (const auto& [name, tensor] : actual) expect(prefix + name, tensor);
}

void Case::expect_equal(const std::string& name, const at::Tensor& actual) {
  compared_.insert(name);
  EXPECT_TRUE(is_close(actual, tensor(name), 0)) << "in " << name;
}

void Case::expect_within(const std::string& name, const at::Tensor& actual, int64_t largest_difference) {
  compared_.insert(name);
  const at::Tensor expected = tensor(name);
  ASSERT_EQ(actual.sizes(), expected.sizes()) << "in " << name;
  EXPECT_LE(actual.to(at::kLong).sub(expected.to(at::kLong)).abs().max().item<int64_t>(), largest_difference)
      << "in " << name;
}

void Case::expect_not(const std::string& wrong, const std::string& name, const at::Tensor& actual) {
  compared_.insert(wrong);
  const double relative = tolerance(name);
  if (is_close(tensor(wrong), tensor(name), relative)) return;
  EXPECT_FALSE(is_close(actual, tensor(wrong), relative)) << name << " came out as " << wrong;
}

void Case::expect_everything_compared() const {
  for (const char* list : {"expected", "wrong"}) {
    for (const std::string& name : names(json_, list)) {
      EXPECT_TRUE(compared_.contains(name)) << name << " (" << list << ") was compared with nothing";
    }
  }
}

// "losses" is for the values of losses, "relative" for everything else; "exact" cases have neither.
double Case::tolerance(const std::string& name) const {
  const acm::Json& tolerance = json_.at("tolerance");
  if (tolerance.find("exact") != nullptr) return 0;
  const bool is_loss = name.ends_with("loss");
  if (const acm::Json* losses = tolerance.find("losses"); is_loss && losses != nullptr) return losses->as_double();
  return tolerance.at("relative").as_double();
}

}  // namespace golden
