#include "fuzz/target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace acm::fuzz {
namespace {

namespace fs = std::filesystem;

// A folder that is removed when the process ends in order.
class Folder {
 public:
  Folder() : path_((fs::temp_directory_path() / "acm-fuzz-XXXXXX").string()) {
    promise(::mkdtemp(path_.data()) != nullptr, "a folder for files can be made");
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return fs::path(path_) / name; }

 private:
  std::string path_;
};

}  // namespace

fs::path file_of(std::string_view bytes) {
  static const int descriptor = ::memfd_create("input", MFD_CLOEXEC);
  const bool written = ::ftruncate(descriptor, 0) == 0 &&
                       ::pwrite(descriptor, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  promise(written, "a file in memory can be written");
  return "/proc/self/fd/" + std::to_string(descriptor);
}

fs::path file_in_folder(const std::string& name, std::string_view bytes) {
  static const Folder folder;
  const fs::path path = folder / name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  promise(file.good(), "a file can be written to " + path.string());
  return path;
}

void promise(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "this promise does not hold: %s\n", what.c_str());
  std::abort();
}

void check_sentence(const Error& error) {
  const std::string_view message = error.what();
  promise(!message.empty(), "an error has a message");
  const bool clean =
      std::ranges::all_of(message, [](unsigned char c) { return c >= ' ' ? c != 0x7f : c == '\n' || c == '\t'; });
  promise(clean, "a message has no control characters");
}

}  // namespace acm::fuzz
