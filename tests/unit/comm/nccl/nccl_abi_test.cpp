#include "comm/nccl/nccl_abi.h"

#include <gtest/gtest.h>
#include <nccl.h>

#include <type_traits>

// Built only where nccl.h is found.
namespace acm::comm::nccl {
namespace {

// Two functions that a caller cannot tell apart: as many parameters, each of the same size and, if it is passed in a
// register, of the same kind.
template <typename Ours, typename Theirs>
constexpr bool kSameValue =
    sizeof(Ours) == sizeof(Theirs) && alignof(Ours) == alignof(Theirs) &&
    std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>&& std::is_class_v<Ours> == std::is_class_v<Theirs>;
template <typename OurResult, typename... Ours, typename TheirResult, typename... Theirs>
constexpr bool is_same_call(OurResult (*)(Ours...), TheirResult (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) != sizeof...(Theirs)) {
    return false;
  } else {
    return kSameValue<OurResult, TheirResult> && (kSameValue<Ours, Theirs> && ...);
  }
}
constexpr Functions kNone{};

static_assert(is_same_call(kNone.get_version, decltype(&ncclGetVersion){}));
static_assert(is_same_call(kNone.get_unique_id, decltype(&ncclGetUniqueId){}));
static_assert(is_same_call(kNone.comm_init_rank_config, decltype(&ncclCommInitRankConfig){}));
static_assert(is_same_call(kNone.comm_get_async_error, decltype(&ncclCommGetAsyncError){}));
static_assert(is_same_call(kNone.comm_abort, decltype(&ncclCommAbort){}));
static_assert(is_same_call(kNone.get_error_string, decltype(&ncclGetErrorString){}));
static_assert(is_same_call(kNone.get_last_error, decltype(&ncclGetLastError){}));
static_assert(is_same_call(kNone.all_reduce, decltype(&ncclAllReduce){}));
static_assert(is_same_call(kNone.broadcast, decltype(&ncclBroadcast){}));
static_assert(is_same_call(kNone.all_gather, decltype(&ncclAllGather){}));

static_assert(int{ncclSuccess} == static_cast<int>(Result::kSuccess));
static_assert(int{ncclUnhandledCudaError} == static_cast<int>(Result::kUnhandledCudaError));
static_assert(int{ncclSystemError} == static_cast<int>(Result::kSystemError));
static_assert(int{ncclInternalError} == static_cast<int>(Result::kInternalError));
static_assert(int{ncclInvalidArgument} == static_cast<int>(Result::kInvalidArgument));
static_assert(int{ncclInvalidUsage} == static_cast<int>(Result::kInvalidUsage));
static_assert(int{ncclRemoteError} == static_cast<int>(Result::kRemoteError));
static_assert(int{ncclInProgress} == static_cast<int>(Result::kInProgress));
static_assert(int{ncclUint8} == static_cast<int>(DataType::kUint8));
static_assert(int{ncclInt32} == static_cast<int>(DataType::kInt32));
static_assert(int{ncclInt64} == static_cast<int>(DataType::kInt64));
static_assert(int{ncclFloat32} == static_cast<int>(DataType::kFloat32));
static_assert(int{ncclFloat64} == static_cast<int>(DataType::kFloat64));
static_assert(int{ncclSum} == static_cast<int>(RedOp::kSum));
static_assert(int{ncclMax} == static_cast<int>(RedOp::kMax));
static_assert(int{ncclMin} == static_cast<int>(RedOp::kMin));
static_assert(sizeof(UniqueId) == sizeof(ncclUniqueId));
static_assert(NCCL_VERSION(2, 14, 0) == kOldestVersion);
static_assert(sizeof(Config) <= sizeof(ncclConfig_t));
static_assert(offsetof(Config, magic) == offsetof(ncclConfig_t, magic));
static_assert(offsetof(Config, version) == offsetof(ncclConfig_t, version));
static_assert(offsetof(Config, blocking) == offsetof(ncclConfig_t, blocking));

TEST(NcclAbi, TheConfigIsWhatNcclAccepts) {
  const ncclConfig_t theirs = NCCL_CONFIG_INITIALIZER;
  EXPECT_EQ(Config().magic, theirs.magic);
  EXPECT_EQ(Config().size, sizeof(Config));
}

}  // namespace
}  // namespace acm::comm::nccl
