#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "device/test_device.h"
#include "nn/random_tensor.h"

namespace acm::nn {
namespace {

TEST(TokenUniformOnADevice, HasTheBitsOfTheCpuAndTheHostDoesNotWait) {
  const at::Tensor positions = at::arange(3, 70, at::kLong);
  const StreamKey key = StreamKey(11).with("noise");
  const at::Tensor here = token_uniform(key, positions, 4, 33, 5);
  token_uniform(key, positions, 4, 33, 5, test_device());  // what only the first call waits for
  const int64_t before = host_syncs();
  const at::Tensor there = token_uniform(key, positions, 4, 33, 5, test_device());
  EXPECT_EQ(host_syncs(), before);
  EXPECT_EQ(there.device(), test_device());
  EXPECT_TRUE(there.cpu().equal(here));
}

}  // namespace
}  // namespace acm::nn
