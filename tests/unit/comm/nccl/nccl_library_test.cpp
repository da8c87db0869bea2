#include "comm/nccl/nccl_library.h"

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

}  // namespace
}  // namespace acm::comm
