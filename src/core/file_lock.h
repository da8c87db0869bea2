#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "core/file.h"

namespace acm {

// Keeps `path` for this process as long as the object lives, by a lock that the system drops when the process ends,
// however it ends: nothing is left that could block the next start. The file holds a line of text about its holder.
// Locks are seen by all processes of a host, and by other hosts where the file system carries them (NFS 4, Lustre
// mounted with flock, GPFS).
class FileLock {
 public:
  // Waits up to `patience` for a holder that is just ending. Error(kUsage) tells what is locked and the holder's line.
  FileLock(const std::filesystem::path& path, const std::string& holder, std::chrono::milliseconds patience);
  // False where the file system has no locks.
  bool is_held() const { return is_held_; }
  // The line of the holder before this one, who ended without removing it; empty where there was none.
  const std::string& previous() const { return previous_; }
  // Empties the file: the next holder sees that this one ended in order.
  void clear();

 private:
  FileHandle file_;
  bool is_held_ = false;
  std::string previous_;
};

}  // namespace acm
