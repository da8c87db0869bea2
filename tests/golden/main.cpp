#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "golden/kinds.h"

namespace {

namespace fs = std::filesystem;

const std::map<std::string, void (*)(golden::Case&)> kTests = {
    {"acm_layer", golden::test_acm_layer},
    {"gate", golden::test_gate},
    {"phase1", golden::test_phase1},
    {"phase1_sites", golden::test_phase1_sites},
    {"phase2", golden::test_phase2},
    {"phase2_labels", golden::test_phase2_labels},
    {"phase3", golden::test_phase3},
    {"cost_tables", golden::test_cost_tables},
    {"cost_choices", golden::test_cost_choices},
    {"optimizer", golden::test_optimizer},
    {"schedule", golden::test_schedule},
    {"clip", golden::test_clip},
    {"topk", golden::test_topk},
    {"vit", golden::test_vit},
    {"vit_logits", golden::test_vit_logits},
    {"vit_real", golden::test_vit_real},
    {"mixing", golden::test_mixing},
    {"cutmix_boxes", golden::test_cutmix_boxes},
    {"cross_entropy", golden::test_cross_entropy},
    {"augmentation", golden::test_augmentation},
    {"image_preprocessing", golden::test_image_preprocessing},
    {"image_files", golden::test_image_files},
};

class CaseTest : public testing::Test {
 public:
  explicit CaseTest(fs::path json) : json_(std::move(json)) {}

  void TestBody() override {
    golden::Case golden(json_);
    const auto test = kTests.find(golden.kind());
    if (test == kTests.end()) GTEST_SKIP() << "no test for kind " << golden.kind() << " yet";
    test->second(golden);
    golden.expect_everything_compared();
  }

 private:
  fs::path json_;
};

class EmptyFolderTest : public testing::Test {
 public:
  explicit EmptyFolderTest(fs::path folder) : folder_(std::move(folder)) {}
  void TestBody() override { FAIL() << folder_ << " holds no case"; }

 private:
  fs::path folder_;
};

// Every JSON but config.json, which is a model's configuration as its library wrote it.
std::vector<fs::path> case_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".json" && path.filename() != "config.json") files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  return files;
}

void register_case(const fs::path& root, const fs::path& file) {
  const std::string folder = fs::relative(file.parent_path(), root).string();
  const std::string suite = folder == "." ? "top" : folder;
  testing::RegisterTest(suite.c_str(), file.stem().c_str(), nullptr, nullptr, file.c_str(), 1,
                        [file]() -> CaseTest* { return new CaseTest(file); });
}

// A folder without a case is a copy that went wrong.
void register_empty(const fs::path& folder) {
  testing::RegisterTest(folder.filename().c_str(), "holds_a_case", nullptr, nullptr, folder.c_str(), 1,
                        [folder]() -> EmptyFolderTest* { return new EmptyFolderTest(folder); });
}

class AbsentTest : public testing::Test {
 public:
  explicit AbsentTest(fs::path folder) : folder_(std::move(folder)) {}
  void TestBody() override { GTEST_SKIP() << "the larger vectors are not at " << folder_; }

 private:
  fs::path folder_;
};

// The cases that are too large for the repository: those of `shared` that `root` does not hold.
void register_larger_cases(const fs::path& shared, const fs::path& root) {
  if (!fs::is_directory(shared)) {
    testing::RegisterTest("shared", "larger_vectors", nullptr, nullptr, shared.c_str(), 1,
                          [shared]() -> AbsentTest* { return new AbsentTest(shared); });
    return;
  }
  for (const fs::path& file : case_files(shared))
    if (!fs::exists(root / fs::relative(file, shared))) register_case(shared, file);
}

void register_cases(const fs::path& root) {
  for (const fs::path& file : case_files(root)) register_case(root, file);
  std::vector<fs::path> folders = {root};
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  for (const fs::path& folder : folders) {
    if (case_files(folder).empty()) register_empty(folder);
  }
}

}  // namespace

int main(int argc, char** argv) {
  fs::path root = ACM_GOLDEN_VECTORS;
  if (argc >= 3 && std::string(argv[1]) == "--golden") {
    root = argv[2];
    argv[2] = argv[0];
    argv += 2;
    argc -= 2;
  }
  if (!fs::is_directory(root)) {
    std::cerr << "golden_tests: reading golden cases: " << root << " is not a folder\n";
    return 64;
  }
  register_cases(fs::canonical(root));
  if (root == fs::path(ACM_GOLDEN_VECTORS)) register_larger_cases(ACM_SHARED_GOLDEN, root);
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    std::cerr << "usage: golden_tests [--golden DIR] [--gtest_...], not " << argv[1] << '\n';
    return 64;
  }
  return RUN_ALL_TESTS();
}
