#include "nn/cuda/token_uniform.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "core/random.h"
#include "device/test_device.h"
#include "nn/cuda/stream.h"

namespace acm::nn {
namespace {

TEST(TokenUniformKernel, HasTheBitsOfTheCpu) {
  constexpr int64_t kSamples = 3, kNumbers = 1001;
  const std::vector<StreamKey> keys = {StreamKey(1), StreamKey(2).with("noise"), StreamKey(-1)};
  at::Tensor values = at::empty({kSamples}, at::kLong);
  for (int64_t s = 0; s < kSamples; ++s) values[s] = static_cast<int64_t>(keys[static_cast<size_t>(s)].value());
  const at::Tensor there = values.to(test_device());
  const at::Tensor out = at::empty({kSamples, kNumbers}, there.options().dtype(at::kDouble));
  ASSERT_EQ(fill_token_uniform(there.const_data_ptr<int64_t>(), kSamples, kNumbers, out.mutable_data_ptr<double>(),
                               OnGpu(test_device()).stream()),
            nullptr);
  const at::Tensor found = out.cpu();
  for (int64_t s = 0; s < kSamples; ++s)
    for (int64_t i = 0; i < kNumbers; ++i)
      ASSERT_EQ(found[s].const_data_ptr<double>()[i],
                random_uniform(keys[static_cast<size_t>(s)], static_cast<uint64_t>(i)))
          << s << ' ' << i;
}

}  // namespace
}  // namespace acm::nn
