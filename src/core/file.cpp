#include "core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/partial_files.h"

namespace acm {
namespace {

int open_file(const std::filesystem::path& path, int flags, Fault otherwise) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) throw errno_error("cannot open " + path.string(), errno, otherwise);
  return descriptor;
}

std::string span_text(int64_t bytes, int64_t offset) {
  return std::to_string(bytes) + " bytes at offset " + std::to_string(offset);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Makes the entries of a folder durable.
void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = open_file(folder, O_RDONLY | O_DIRECTORY, Fault::kResource);
  const int error_number = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some network file systems have no such operation on folders, and answer so.
  if (error_number != 0 && error_number != EINVAL && error_number != ENOTSUP) {
    throw errno_error("cannot make the folder " + folder.string() + " durable", error_number, Fault::kResource);
  }
}

}  // namespace

FileHandle::FileHandle(const std::filesystem::path& path, Mode mode)
    : path_(path),
      descriptor_(open_file(path,
                            mode == Mode::kRead ? O_RDONLY : O_RDWR | O_NOFOLLOW | (mode == Mode::kMake ? O_CREAT : 0),
                            Fault::kData)) {}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileHandle::FileHandle(FileHandle&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

int64_t FileHandle::size() const {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0) throw errno_error("cannot find the size of " + path_.string(), errno);
  return status.st_size;
}

void FileHandle::read(void* to, int64_t bytes, int64_t offset) const {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t got =
        ::pread(descriptor_, static_cast<char*>(to) + done, static_cast<size_t>(bytes - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw errno_error("cannot read " + span_text(bytes, offset) + " of " + path_.string(), errno);
    if (got == 0) {
      throw Error(Fault::kData, "cannot read " + span_text(bytes, offset) + " of " + path_.string() +
                                    ": the file ends at " + std::to_string(offset + done) +
                                    "; it is cut short, so make or fetch it again");
    }
    done += got;
  }
}

void FileHandle::write(const void* from, int64_t bytes, int64_t offset) const {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t put =
        ::pwrite(descriptor_, static_cast<const char*>(from) + done, static_cast<size_t>(bytes - done), offset + done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      throw errno_error("cannot write " + span_text(bytes, offset) + " of " + path_.string(), put < 0 ? errno : EIO,
                        Fault::kResource);
    }
    done += put;
  }
}

void FileHandle::sync() const {
  if (::fsync(descriptor_) != 0)
    throw errno_error("cannot make " + path_.string() + " durable", errno, Fault::kResource);
}

void FileHandle::start_sync(int64_t bytes, int64_t offset) const {
  ::sync_file_range(descriptor_, offset, bytes, SYNC_FILE_RANGE_WRITE);
}

void FileHandle::truncate() const {
  if (::ftruncate(descriptor_, 0) != 0) throw errno_error("cannot empty " + path_.string(), errno, Fault::kResource);
}

AtomicFile::AtomicFile(std::filesystem::path final_path) : final_(std::move(final_path)), partial_(final_) {
  // The thread too: the ranks of a test are threads of one process.
  partial_ +=
      std::string(kPartialMark) + host_name() + "-" + std::to_string(::getpid()) + "-" + std::to_string(::gettid());
  // What carries this name now was left by a dead process of the same number.
  if (::unlink(partial_.c_str()) != 0 && errno != ENOENT) {
    throw errno_error("cannot write " + final_.string(), errno, Fault::kUsage);
  }
  ::close(open_file(partial_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, Fault::kUsage));
}

AtomicFile::~AtomicFile() {
  if (!committed_) ::unlink(partial_.c_str());
}

void AtomicFile::commit() {
  FileHandle(partial_, FileHandle::Mode::kWrite).sync();
  if (::rename(partial_.c_str(), final_.c_str()) != 0) {
    throw errno_error("cannot rename " + partial_.string() + " to " + final_.string(), errno, Fault::kUsage);
  }
  committed_ = true;
  sync_folder(folder_of(final_));
}

void replace_file(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  FileHandle(file.partial(), FileHandle::Mode::kWrite).write(bytes.data(), static_cast<int64_t>(bytes.size()), 0);
  file.commit();
}

std::string read_file(const std::filesystem::path& path) {
  const FileHandle file(path, FileHandle::Mode::kRead);
  std::string bytes(static_cast<size_t>(file.size()), '\0');
  file.read(bytes.data(), static_cast<int64_t>(bytes.size()), 0);
  return bytes;
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw errno_error("cannot make the folder " + folder.string(), failure.value(), Fault::kUsage);
  if (!std::filesystem::is_directory(folder, failure)) {
    throw Error(Fault::kUsage,
                "cannot make the folder " + folder.string() + ": there is a file of that name; choose another");
  }
}

int64_t free_bytes(const std::filesystem::path& folder) {
  std::filesystem::path place = std::filesystem::absolute(folder);
  std::error_code ignored;  // a folder that cannot be looked into is judged by its parent
  while (!std::filesystem::exists(place, ignored) && place != place.root_path()) place = place.parent_path();
  struct statvfs status;
  if (::statvfs(place.c_str(), &status) != 0) {
    throw errno_error("cannot find the free space of " + place.string(), errno, Fault::kUsage);
  }
  const auto bytes = static_cast<unsigned __int128>(status.f_bavail) * status.f_frsize;
  constexpr auto kMost = std::numeric_limits<int64_t>::max();
  return bytes > static_cast<unsigned __int128>(kMost) ? kMost : static_cast<int64_t>(bytes);
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of("/\\") == std::string::npos &&
         name.find('\0') == std::string::npos;
}

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0)
    throw errno_error("cannot read the host name", errno, Fault::kResource);
  return name;
}

}  // namespace acm
