#pragma once

#include <cstddef>

// What we use of NCCL's binary interface, which every version since 2.14 keeps: so a machine without nccl.h builds the
// same program. The test nccl/nccl_abi_test.cpp compares it with nccl.h where that is found; nccl.h explains each name.
namespace acm::comm::nccl {

struct Comm;  // opaque

struct UniqueId {
  char bytes[128];
};

enum class Result : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};
enum class DataType : int { kUint8 = 1, kInt32 = 2, kInt64 = 4, kFloat32 = 7, kFloat64 = 8 };
enum class RedOp : int { kSum = 0, kMax = 2, kMin = 3 };

constexpr int kOldestVersion = 21400;  // 2.14.0, the first whose communicators need not block

// As of that version; a newer NCCL takes its own defaults for what has come later.
struct Config {
  size_t size = sizeof(Config);
  unsigned int magic = 0xcafebeef;
  unsigned int version = kOldestVersion;
  int blocking = 0;
};

// The functions, as they lie in the library. Streams are cudaStream_t.
struct Functions {
  Result (*get_version)(int* version);
  Result (*get_unique_id)(UniqueId* id);
  Result (*comm_init_rank_config)(Comm** comm, int size, UniqueId id, int rank, Config* config);
  Result (*comm_get_async_error)(Comm* comm, Result* state);
  Result (*comm_abort)(Comm* comm);
  const char* (*get_error_string)(Result code);
  const char* (*get_last_error)(Comm* comm);
  Result (*all_reduce)(const void* from, void* to, size_t count, DataType type, RedOp op, Comm* comm, void* stream);
  Result (*broadcast)(const void* from, void* to, size_t count, DataType type, int root, Comm* comm, void* stream);
  Result (*all_gather)(const void* from, void* to, size_t count, DataType type, Comm* comm, void* stream);
};

}  // namespace acm::comm::nccl
