#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace acm {

// An open file descriptor, closed by its destructor.
class FileHandle {
 public:
  // kWrite: an existing file, in place; kMake: likewise, made where it is missing. Neither through a symbolic link.
  enum class Mode { kRead, kWrite, kMake };
  FileHandle(const std::filesystem::path& path, Mode mode);
  ~FileHandle();
  FileHandle(FileHandle&& other) noexcept;
  FileHandle(const FileHandle&) = delete;

  int64_t size() const;
  // Exactly `bytes` at `offset`, or an Error that names the file; short reads and writes are continued.
  void read(void* to, int64_t bytes, int64_t offset) const;
  void write(const void* from, int64_t bytes, int64_t offset) const;
  void sync() const;
  // The disk may begin to write these bytes, so that sync() finds less to do. Only a hint: where the system has no such
  // thing, sync() does all.
  void start_sync(int64_t bytes, int64_t offset) const;
  void truncate() const;  // to nothing
  int descriptor() const { return descriptor_; }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

// A file that exists under its final name whole or not at all. The constructor makes partial() as an empty file; write
// to it, close it, then commit(): fsync, rename, fsync of the folder. The partial name holds host, process and thread,
// so two writers never meet; the destructor removes what was not committed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path final_path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  const std::filesystem::path& partial() const { return partial_; }
  void commit();

 private:
  std::filesystem::path final_, partial_;
  bool committed_ = false;
};

// Replaces `path` by `bytes` through an AtomicFile.
void replace_file(const std::filesystem::path& path, std::string_view bytes);
// The whole file; Error(kData) names what is missing or unreadable.
std::string read_file(const std::filesystem::path& path);
// Creates the folder and its parents; Error(kUsage) where it is forbidden or read-only.
void make_folder(const std::filesystem::path& folder);
// Bytes that this process may still write on the file system of `folder` (or of its nearest existing parent).
int64_t free_bytes(const std::filesystem::path& folder);
// Whether a name is that of a file in its own folder and leads nowhere else: names come from files that anybody may
// have written.
bool is_plain_name(const std::string& name);
// Host name, for messages and partial names.
std::string host_name();

}  // namespace acm
