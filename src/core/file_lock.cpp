#include "core/file_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <thread>

#include "core/error.h"

namespace acm {
namespace {

enum class Attempt { kHeld, kTaken, kImpossible };

// Of the open file, not of the process: closing another descriptor of the file does not drop it.
Attempt try_lock(const FileHandle& file, const std::filesystem::path& path) {
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  while (::fcntl(file.descriptor(), F_OFD_SETLK, &whole) != 0) {
    switch (errno) {
      case EINTR:
        continue;
      case EACCES:
      case EAGAIN:
        return Attempt::kTaken;
      case ENOLCK:
      case ENOSYS:
      case EOPNOTSUPP:
      case EINVAL:
        return Attempt::kImpossible;
      default:
        throw errno_error("cannot lock " + path.string(), errno, Fault::kUsage);
    }
  }
  return Attempt::kHeld;
}

std::string content_of(const FileHandle& file) {
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read(text.data(), static_cast<int64_t>(text.size()), 0);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::string& holder, std::chrono::milliseconds patience)
    : file_(path, FileHandle::Mode::kMake) {
  constexpr auto kBetweenLooks = std::chrono::milliseconds(50);  // there is no waiting for a lock with a bound
  auto attempt = try_lock(file_, path);
  for (const auto end = std::chrono::steady_clock::now() + patience;
       attempt == Attempt::kTaken && std::chrono::steady_clock::now() < end; attempt = try_lock(file_, path))
    std::this_thread::sleep_for(kBetweenLooks);
  if (attempt == Attempt::kTaken)
    throw Error(Fault::kUsage, "cannot use " + path.parent_path().string() + ": another run uses it, " +
                                   content_of(file_) + "; wait for it, stop it, or choose another run_dir");
  is_held_ = attempt == Attempt::kHeld;
  previous_ = content_of(file_);
  file_.truncate();
  file_.write(holder.data(), static_cast<int64_t>(holder.size()), 0);
}

void FileLock::clear() { file_.truncate(); }

}  // namespace acm
