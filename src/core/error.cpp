#include "core/error.h"

#include <cerrno>
#include <system_error>

namespace acm {
namespace {

struct Verdict {
  Fault fault;
  const char* advice;
};

Verdict judge(int error_number, Fault otherwise) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return {Fault::kResource, "; free some space or choose another place"};
    case EFBIG:
      return {Fault::kResource, "; raise the limit on file sizes ('ulimit -f')"};
    case EMFILE:
    case ENFILE:
      return {Fault::kResource, "; raise the limit on open files ('ulimit -n')"};
    case EIO:
      return {Fault::kResource, "; the disk or the file system fails"};
    case ENOMEM:
      return {Fault::kResource, "; free some memory"};
    case EACCES:
    case EPERM:
      return {Fault::kUsage, "; check its permissions or choose another place"};
    case ENOENT:
    case ENOTDIR:
      return {otherwise, "; check the path"};
    case EROFS:
      return {Fault::kUsage, "; choose a place that can be written to"};
    default:
      return {otherwise, ""};
  }
}

}  // namespace

Error errno_error(const std::string& what, int error_number, Fault otherwise, std::source_location where) {
  const Verdict verdict = judge(error_number, otherwise);
  // Not strerror(): any thread may be here.
  return Error(verdict.fault, what + ": " + std::generic_category().message(error_number) + verdict.advice, where);
}

}  // namespace acm
