#include "comm/nccl/nccl_library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "unit/core/expect_error.h"

namespace acm::comm {
namespace {

TEST(NcclLibrary, AMissingOneIsOneSentence) {
  const auto message = expect_error(
      Fault::kResource,
      "cannot open NCCL, by which GPUs communicate: libnccl-none.so.2: ", [] { open_nccl("libnccl-none.so.2"); });
  EXPECT_NE(message.find("; install NCCL 2.14 or later (libnccl2)"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(NcclLibrary, AMissingFunctionIsNamed) {
  expect_error(Fault::kResource, "cannot use NCCL: libm.so.6 has no function ncclGetVersion; install NCCL 2.14",
               [] { open_nccl("libm.so.6"); });
}

TEST(NcclLibrary, TheOneOfThisMachineHasAllOfIt) {
  if (!dlopen("libnccl.so.2", RTLD_LAZY)) GTEST_SKIP() << "no libnccl.so.2 on this machine";
  const auto functions = open_nccl();
  int version = 0;
  EXPECT_EQ(functions.get_version(&version), nccl::Result::kSuccess);
  EXPECT_GE(version, nccl::kOldestVersion);
  EXPECT_STREQ(functions.get_error_string(nccl::Result::kSuccess), "no error");
}

}  // namespace
}  // namespace acm::comm
