// A library for LD_PRELOAD that disturbs the file operations of a program, below given paths and at a given call.
//
//   ACM_FAULT_ROOT   absolute path prefixes, separated by colons; calls on other paths are neither counted nor touched
//   ACM_FAULT_RANK   disturbs only the process of this rank (OMPI_COMM_WORLD_RANK, 0 where it is not set); empty: all
//   ACM_FAULT_CALLS  kinds that count, separated by commas: open (for writing), write, sync, rename, unlink, mkdir,
//                    read (opening for reading); empty: all but read
//   ACM_FAULT_LOG    a file to which each counted call is appended, as "NUMBER CALL PATH"; the rank is added to its
//   name ACM_FAULT_AT     the call that is disturbed: "7", or "7-" for it and all that follow; empty: all ACM_FAULT_DO
//   what is done there: signal:N (before the call), an errno (ENOSPC, EIO, EACCES, EDQUOT, EROFS),
//                    short (half of a write), flip (one bit of a write), delay:MILLISECONDS; empty: nothing
//   ACM_FAULT_CLOCK  seconds by which the wall clock jumps forth and back with each reading
//
// Counting is over all threads of a process. What writes without these calls (fopen inside of libc, mmap) is not seen.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

enum class Kind { kOpen, kWrite, kSync, kRename, kUnlink, kMkdir, kRead };

std::string setting(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

[[noreturn]] void refuse(const std::string& what) {
  fprintf(stderr, "fault_inject: %s\n", what.c_str());
  _exit(64);
}

template <typename Value>
Value look_up(const std::map<std::string, Value>& table, const std::string& name, const char* variable) {
  const auto found = table.find(name);
  if (found == table.end()) refuse(std::string(variable) + " does not know '" + name + "'");
  return found->second;
}

struct Plan {
  enum class Deed { kNothing, kSignal, kError, kShort, kFlip, kDelay };

  Plan() {
    const std::map<std::string, Kind> kinds = {
        {"open", Kind::kOpen},     {"write", Kind::kWrite}, {"sync", Kind::kSync}, {"rename", Kind::kRename},
        {"unlink", Kind::kUnlink}, {"mkdir", Kind::kMkdir}, {"read", Kind::kRead}};
    std::string rank = setting("OMPI_COMM_WORLD_RANK");
    if (rank.empty()) rank = "0";
    roots = split(setting("ACM_FAULT_ROOT"), ':');
    std::string names = setting("ACM_FAULT_CALLS");
    if (names.empty()) names = "open,write,sync,rename,unlink,mkdir";
    for (const auto& name : split(names, ',')) counts[static_cast<int>(look_up(kinds, name, "ACM_FAULT_CALLS"))] = true;
    if (const auto file = setting("ACM_FAULT_LOG"); !file.empty()) log = file + "." + rank;
    if (const auto at = setting("ACM_FAULT_AT"); !at.empty()) {
      first = std::atol(at.c_str());
      last = at.back() == '-' ? LONG_MAX : first;
    }
    const std::string wanted = setting("ACM_FAULT_RANK");
    if (wanted.empty() || wanted == rank) read_deed(setting("ACM_FAULT_DO"));
  }

  void read_deed(const std::string& text) {
    const std::map<std::string, int> errors = {
        {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EACCES", EACCES}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}};
    const size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    if (colon != std::string::npos) number = std::atol(text.c_str() + colon + 1);
    if (name.empty()) return;
    if (name == "signal" || name == "delay") {
      if (number <= 0) refuse("ACM_FAULT_DO needs a number after " + name + ":");
      deed = name == "signal" ? Deed::kSignal : Deed::kDelay;
    } else if (name == "short") {
      deed = Deed::kShort;
    } else if (name == "flip") {
      deed = Deed::kFlip;
    } else {
      number = look_up(errors, name, "ACM_FAULT_DO");
      deed = Deed::kError;
    }
  }

  bool concerns(const std::string& path) const {
    for (const auto& root : roots)
      if (path.starts_with(root)) return true;
    return false;
  }

  std::vector<std::string> roots;
  bool counts[7] = {};
  std::string log;
  long first = 1, last = LONG_MAX;
  Deed deed = Deed::kNothing;
  long number = 0;  // of the signal, the errno, or milliseconds
};

const Plan& plan() {
  static const Plan* const the_plan = new Plan;  // never destroyed: threads may outlive static objects
  return *the_plan;
}

// The next function of this name after this library's own.
template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string path_of_descriptor(int descriptor) {
  char link[64], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = syscall(SYS_readlink, link, target, sizeof target);
  return length < 0 ? "" : std::string(target, static_cast<size_t>(length));
}

std::string absolute(int folder, const char* path) {
  if (path == nullptr) return "";
  std::filesystem::path whole(path);
  if (whole.is_relative()) {
    char here[PATH_MAX];
    whole = (folder == AT_FDCWD ? std::string(getcwd(here, sizeof here)) : path_of_descriptor(folder)) / whole;
  }
  return whole.lexically_normal().string();
}

void note(long number, const char* call, const std::string& path) {
  if (plan().log.empty()) return;
  const std::string line = std::to_string(number) + " " + call + " " + path + "\n";
  const long file = syscall(SYS_openat, AT_FDCWD, plan().log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0) refuse("cannot open " + plan().log);
  if (syscall(SYS_write, file, line.data(), line.size()) != static_cast<long>(line.size()))
    refuse("cannot write the log");
  syscall(SYS_close, file);
}

// Counts a call, and gives what is to be done to it now. Signals and delays happen here.
Plan::Deed meet(Kind kind, const char* call, const std::string& path) {
  static std::atomic<long> calls = 0;
  const Plan& the_plan = plan();
  if (!the_plan.counts[static_cast<int>(kind)] || !the_plan.concerns(path)) return Plan::Deed::kNothing;
  const long number = ++calls;
  note(number, call, path);
  if (number < the_plan.first || number > the_plan.last) return Plan::Deed::kNothing;
  if (the_plan.deed == Plan::Deed::kSignal) kill(getpid(), static_cast<int>(the_plan.number));
  if (the_plan.deed == Plan::Deed::kDelay) {
    timespec left = {the_plan.number / 1000, the_plan.number % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }
  return the_plan.deed;
}

// Whether the call must fail, with errno set.
bool fails(Kind kind, const char* call, const std::string& path) {
  if (plan().roots.empty() || meet(kind, call, path) != Plan::Deed::kError) return false;
  errno = static_cast<int>(plan().number);
  return true;
}

bool open_fails(const char* call, int folder, const char* path, int flags) {
  if (plan().roots.empty()) return false;
  const bool writes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
  return fails(writes ? Kind::kOpen : Kind::kRead, (flags & O_CREAT) != 0 ? "create" : call, absolute(folder, path));
}

// `real(from, bytes)` writes; what it is given may be less or other than the caller's.
template <typename Real>
ssize_t disturbed_write(const char* call, int descriptor, const void* from, size_t bytes, const Real& real) {
  if (plan().roots.empty()) return real(from, bytes);
  switch (meet(Kind::kWrite, call, path_of_descriptor(descriptor))) {
    case Plan::Deed::kError:
      errno = static_cast<int>(plan().number);
      return -1;
    case Plan::Deed::kShort:
      return real(from, (bytes + 1) / 2);
    case Plan::Deed::kFlip: {
      std::string other(static_cast<const char*>(from), bytes);
      if (bytes > 0) other[bytes / 2] ^= 0x10;
      return real(other.data(), bytes);
    }
    default:
      return real(from, bytes);
  }
}

// Forth at one reading, back at the next.
long clock_shift() {
  static const long seconds = std::atol(setting("ACM_FAULT_CLOCK").c_str());
  static std::atomic<unsigned> readings = 0;
  return seconds == 0 ? 0 : (readings++ % 2 ? -seconds : seconds);
}

mode_t mode_argument(int flags, va_list list) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

}  // namespace

extern "C" {

#define ACM_OPEN(name)                                                \
  int name(const char* path, int flags, ...) {                        \
    va_list list;                                                     \
    va_start(list, flags);                                            \
    const mode_t mode = mode_argument(flags, list);                   \
    va_end(list);                                                     \
    if (open_fails(#name, AT_FDCWD, path, flags)) return -1;          \
    static const auto real = next<int(const char*, int, ...)>(#name); \
    return real(path, flags, mode);                                   \
  }
ACM_OPEN(open)
ACM_OPEN(open64)

#define ACM_OPENAT(name)                                                   \
  int name(int folder, const char* path, int flags, ...) {                 \
    va_list list;                                                          \
    va_start(list, flags);                                                 \
    const mode_t mode = mode_argument(flags, list);                        \
    va_end(list);                                                          \
    if (open_fails(#name, folder, path, flags)) return -1;                 \
    static const auto real = next<int(int, const char*, int, ...)>(#name); \
    return real(folder, path, flags, mode);                                \
  }
ACM_OPENAT(openat)
ACM_OPENAT(openat64)

#define ACM_CREAT(name)                                                             \
  int name(const char* path, mode_t mode) {                                         \
    if (open_fails(#name, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC)) return -1; \
    static const auto real = next<int(const char*, mode_t)>(#name);                 \
    return real(path, mode);                                                        \
  }
ACM_CREAT(creat)
ACM_CREAT(creat64)

ssize_t write(int descriptor, const void* from, size_t bytes) {
  static const auto real = next<ssize_t(int, const void*, size_t)>("write");
  return disturbed_write("write", descriptor, from, bytes,
                         [&](const void* data, size_t size) { return real(descriptor, data, size); });
}

#define ACM_PWRITE(name)                                                                                         \
  ssize_t name(int descriptor, const void* from, size_t bytes, off_t offset) {                                   \
    static const auto real = next<ssize_t(int, const void*, size_t, off_t)>(#name);                              \
    return disturbed_write(#name, descriptor, from, bytes,                                                       \
                           [&](const void* data, size_t size) { return real(descriptor, data, size, offset); }); \
  }
ACM_PWRITE(pwrite)
ACM_PWRITE(pwrite64)

#define ACM_SYNC(name)                                                                                 \
  int name(int descriptor) {                                                                           \
    if (!plan().roots.empty() && fails(Kind::kSync, #name, path_of_descriptor(descriptor))) return -1; \
    static const auto real = next<int(int)>(#name);                                                    \
    return real(descriptor);                                                                           \
  }
ACM_SYNC(fsync)
ACM_SYNC(fdatasync)

int rename(const char* from, const char* to) {
  if (fails(Kind::kRename, "rename", absolute(AT_FDCWD, to))) return -1;
  static const auto real = next<int(const char*, const char*)>("rename");
  return real(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  if (fails(Kind::kRename, "renameat", absolute(to_folder, to))) return -1;
  static const auto real = next<int(int, const char*, int, const char*)>("renameat");
  return real(from_folder, from, to_folder, to);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  if (fails(Kind::kRename, "renameat2", absolute(to_folder, to))) return -1;
  static const auto real = next<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return real(from_folder, from, to_folder, to, flags);
}

#define ACM_REMOVE(name)                                                  \
  int name(const char* path) {                                            \
    if (fails(Kind::kUnlink, #name, absolute(AT_FDCWD, path))) return -1; \
    static const auto real = next<int(const char*)>(#name);               \
    return real(path);                                                    \
  }
ACM_REMOVE(unlink)
ACM_REMOVE(rmdir)
ACM_REMOVE(remove)

int unlinkat(int folder, const char* path, int flags) {
  if (fails(Kind::kUnlink, "unlinkat", absolute(folder, path))) return -1;
  static const auto real = next<int(int, const char*, int)>("unlinkat");
  return real(folder, path, flags);
}

int mkdir(const char* path, mode_t mode) {
  if (fails(Kind::kMkdir, "mkdir", absolute(AT_FDCWD, path))) return -1;
  static const auto real = next<int(const char*, mode_t)>("mkdir");
  return real(path, mode);
}
int mkdirat(int folder, const char* path, mode_t mode) {
  if (fails(Kind::kMkdir, "mkdirat", absolute(folder, path))) return -1;
  static const auto real = next<int(int, const char*, mode_t)>("mkdirat");
  return real(folder, path, mode);
}

int clock_gettime(clockid_t clock, timespec* time) {
  static const auto real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = real(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += clock_shift();
  return result;
}
int gettimeofday(timeval* time, void* zone) {
  static const auto real = next<int(timeval*, void*)>("gettimeofday");
  const int result = real(time, zone);
  if (result == 0) time->tv_sec += clock_shift();
  return result;
}
time_t time(time_t* to) {
  static const auto real = next<time_t(time_t*)>("time");
  const time_t now = real(nullptr) + clock_shift();
  if (to != nullptr) *to = now;
  return now;
}

}  // extern "C"
