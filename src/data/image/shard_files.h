#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>

#include "core/file.h"

namespace acm::data {

// Open tar files, those used last: never more than 64, however many there are. Any thread.
class ShardFiles {
 public:
  // Open while the caller holds it.
  std::shared_ptr<const FileHandle> open(int32_t number, const std::filesystem::path& path);

 private:
  struct Open {
    int32_t number;
    std::shared_ptr<const FileHandle> file;
  };
  std::mutex mutex_;
  std::list<Open> open_;  // the one used last in front
};

}  // namespace acm::data
