#include "comm/current_error.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <stdexcept>

namespace acm::comm {
namespace {

Error error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    return current_error();
  }
  throw std::logic_error("nothing was thrown");
}

TEST(CurrentErrorTest, OursStaysItself) {
  const Error error = error_of([] {
    Error full(Fault::kData, "broken");
    throw full.mark_shared();
  });
  EXPECT_EQ(error.fault(), Fault::kData);
  EXPECT_STREQ(error.what(), "broken");
  EXPECT_TRUE(error.shared());
}

TEST(CurrentErrorTest, ALackOfMemoryIsAResource) {
  const Error ours = error_of([] { throw std::bad_alloc(); });
  EXPECT_EQ(ours.fault(), Fault::kResource);
  const Error torchs = error_of([] { at::empty({int64_t{1} << 60}); });
  EXPECT_EQ(torchs.fault(), Fault::kResource) << torchs.what();
  EXPECT_NE(std::string(torchs.what()).find("out of memory ("), std::string::npos) << torchs.what();
  EXPECT_EQ(std::string(torchs.what()).find('\n'), std::string::npos) << torchs.what();
}

TEST(CurrentErrorTest, EverythingElseIsABug) {
  for (const auto& error :
       {error_of([] { TORCH_CHECK(false, "wrong shape"); }), error_of([] { throw std::logic_error("wrong"); })}) {
    EXPECT_EQ(error.fault(), Fault::kInternal);
    EXPECT_EQ(std::string(error.what()).rfind("internal error, please report it: wrong", 0), 0U) << error.what();
  }
}

}  // namespace
}  // namespace acm::comm
