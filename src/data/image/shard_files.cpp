#include "data/image/shard_files.h"

#include <algorithm>

namespace acm::data {

constexpr size_t kMostOpen = 64;  // the usual limit of a process is 1024

std::shared_ptr<const FileHandle> ShardFiles::open(int32_t number, const std::filesystem::path& path) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(open_, number, &Open::number);
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
  } else {
    open_.push_front({number, std::make_shared<const FileHandle>(path, FileHandle::Mode::kRead)});
    if (open_.size() > kMostOpen) open_.pop_back();
  }
  return open_.front().file;
}

}  // namespace acm::data
