#include "core/partial_files.h"

#include <string>
#include <system_error>
#include <vector>

namespace acm {

void remove_partial_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> left;
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const bool is_partial = entry->path().filename().string().find(kPartialMark) != std::string::npos;
    if (is_partial && entry->is_regular_file(ignored)) left.push_back(entry->path());
  }
  for (const auto& path : left) std::filesystem::remove(path, ignored);
}

}  // namespace acm
