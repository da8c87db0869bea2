#include "nn/autocast.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/linear.h>
#include <gtest/gtest.h>

#include "nn/kernels/feed_forward.h"
#include "nn/random_tensor.h"

namespace acm::nn {
namespace {

at::Tensor numbers(at::IntArrayRef sizes, uint64_t seed) {
  at::Tensor values = at::empty(sizes);
  fill_uniform(values, StreamKey(seed), -1, 1);
  return values;
}

TEST(Autocast, ProductsAreBfloat16AndGradientsOfParametersStayFloat32) {
  const at::Tensor tokens = numbers({9, 16}, 1), weight = numbers({4, 16}, 2).set_requires_grad(true);
  const at::Tensor exact = at::linear(tokens, weight).detach();
  at::Tensor product;
  {
    const Autocast autocast(at::kCPU, true);
    product = at::linear(tokens, weight);
  }
  EXPECT_EQ(product.scalar_type(), at::kBFloat16);
  const double error = product.to(at::kFloat).sub(exact).abs().max().item<double>();
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 16 * 0x1p-7);  // 16 terms below 1, each factor rounded to 8 bits
  product.square().sum().backward();
  EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
}

TEST(Autocast, EndsWithItsScopeAndNests) {
  const at::Tensor tokens = numbers({9, 16}, 1), weight = numbers({4, 16}, 2);
  const auto is_narrow = [&] { return at::linear(tokens, weight).scalar_type() == at::kBFloat16; };
  {
    const Autocast off(at::kCPU, false);
    EXPECT_FALSE(is_narrow());
    const Autocast outer(at::kCPU, true);
    {
      const Autocast inner(at::kCPU, true);
      EXPECT_TRUE(is_narrow());
    }
    EXPECT_TRUE(is_narrow());
  }
  EXPECT_FALSE(is_narrow());
}

TEST(Autocast, KernelsOfFloat32DoNotRunInIt) {
  const at::Tensor tokens = numbers({9, 16}, 1);
  EXPECT_TRUE(kernels_fit({tokens}));
  const Autocast autocast(at::kCPU, true);
  EXPECT_FALSE(kernels_fit({tokens}));
}

}  // namespace
}  // namespace acm::nn
