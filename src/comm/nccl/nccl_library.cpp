#include "comm/nccl/nccl_library.h"

#include <dlfcn.h>

#include "core/error.h"

namespace acm::comm {
namespace {

constexpr const char* kRemedy = "; install NCCL 2.14 or later (libnccl2) and name its folder in LD_LIBRARY_PATH";

template <typename Function>
void find(void* library, const std::string& file, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw Error(Fault::kResource, "cannot use NCCL: " + file + " has no function " + name + kRemedy);
}

std::string version_text(int version) {
  // Two digits for the minor part since 2.9, one before.
  const int major = version < 10000 ? version / 1000 : version / 10000;
  const int minor = version < 10000 ? version / 100 % 10 : version / 100 % 100;
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(version % 100);
}

}  // namespace

nccl::Functions open_nccl(const std::string& file) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    throw Error(Fault::kResource,
                "cannot open NCCL, by which GPUs communicate: " + std::string(why ? why : file) + kRemedy);
  }
  nccl::Functions all{};
  const auto take = [&](const char* name, auto& function) { find(library, file, name, function); };
  take("ncclGetVersion", all.get_version);
  take("ncclGetUniqueId", all.get_unique_id);
  take("ncclCommInitRankConfig", all.comm_init_rank_config);
  take("ncclCommGetAsyncError", all.comm_get_async_error);
  take("ncclCommAbort", all.comm_abort);
  take("ncclGetErrorString", all.get_error_string);
  take("ncclGetLastError", all.get_last_error);
  take("ncclAllReduce", all.all_reduce);
  take("ncclBroadcast", all.broadcast);
  take("ncclAllGather", all.all_gather);
  int version = 0;
  if (const auto code = all.get_version(&version); code != nccl::Result::kSuccess)
    throw Error(Fault::kResource,
                "cannot use NCCL: " + file + " does not tell its version: " + nccl_text(all, code, nullptr) + kRemedy);
  if (version < nccl::kOldestVersion)
    throw Error(Fault::kResource, "cannot use NCCL: " + file + " is version " + version_text(version) +
                                      ", which cannot watch over its collectives" + kRemedy);
  return all;
}

std::string nccl_text(const nccl::Functions& functions, nccl::Result code, nccl::Comm* comm) {
  std::string text = functions.get_error_string(code);
  const char* last = functions.get_last_error(comm);
  if (last && *last) text += " (" + std::string(last) + ")";
  return text;
}

}  // namespace acm::comm
