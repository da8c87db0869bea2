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
  testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    std::cerr << "usage: golden_tests [--golden DIR] [--gtest_...], not " << argv[1] << '\n';
    return 64;
  }
  return RUN_ALL_TESTS();
}
