// Runs a target once on every file of the folders and files that it is given: how the corpus is tested where there is
// no libFuzzer.
#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "fuzz/target.h"

namespace {

namespace fs = std::filesystem;

// What asks for more than this has believed a number in a file. Sanitizers need the address space for themselves.
void limit_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr rlim_t kMostBytes = rlim_t{2} << 30;
  const rlimit limit = {kMostBytes, kMostBytes};
  acm::fuzz::promise(::setrlimit(RLIMIT_DATA, &limit) == 0, "memory can be limited");
#endif
}

std::set<fs::path> files_of(int argc, char** argv) {
  std::set<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i]))
      files.insert(argv[i]);
    else
      for (const auto& entry : fs::directory_iterator(argv[i])) files.insert(entry.path());
  }
  return files;
}

bool replay(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);  // a crash leaves the name of its file
  try {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    return file.good() || file.eof();
  } catch (const std::exception& failure) {
    std::printf("  finding: an exception that is not acm::Error: %s\n", failure.what());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  limit_memory();
  const auto files = files_of(argc, argv);
  int findings = 0;
  for (const fs::path& path : files) findings += replay(path) ? 0 : 1;
  std::printf("%zu files, %d findings\n", files.size(), findings);
  return findings > 0 || files.empty() ? 1 : 0;
}
