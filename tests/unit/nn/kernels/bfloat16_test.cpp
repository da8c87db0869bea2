// Products in bfloat16 against float64: no further away than the rounding of their operands explains.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "nn/kernels/attention.h"
#include "nn/kernels/bfloat16_layers.h"
#include "nn/kernels/feed_forward.h"
#include "unit/nn/kernels/bfloat16_bounds.h"
#include "unit/nn/small_vit.h"

namespace acm::nn {
namespace {

at::Tensor uniform(at::IntArrayRef sizes, uint64_t seed, double bound = 1) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  fill_uniform(values, StreamKey(seed), -bound, bound);
  return values;
}

at::Tensor wide(const at::Tensor& tensor) { return tensor.to(at::kDouble); }
at::Tensor narrow(const at::Tensor& tensor) { return tensor.to(at::kBFloat16); }

// What `compute` gives on one thread and on three, which must be the same bits.
at::Tensor on_any_threads(const std::function<at::Tensor()>& compute) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = compute();
  at::set_num_threads(3);
  EXPECT_TRUE(one.equal(compute()));
  at::set_num_threads(before);
  return one;
}

// Every element within its bound; and rounding is seen at all: some element uses a hundredth of it.
void expect_within(const at::Tensor& found, const at::Tensor& exact, const at::Tensor& bound) {
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  const at::Tensor used = (wide(found) - exact).abs() / bound;
  EXPECT_LE(used.max().item<double>(), 1);
  EXPECT_GT(used.max().item<double>(), 0.01);
}

TEST(Bfloat16, RoundsAsTensorsDo) {
  const at::Tensor scales = at::tensor({1e-38, 1e-20, 1.0, 1e20, 3e38}, at::kFloat);
  const at::Tensor values = (uniform({1000, 1}, 1) * scales).flatten();
  const float infinity = std::numeric_limits<float>::infinity();
  // Ties to even upwards and downwards, the largest float32, and what is not a number.
  const at::Tensor special = at::tensor({0.0f, -0.0f, 1.00390625f, 1.01171875f, std::numeric_limits<float>::max(),
                                         infinity, -infinity, std::numeric_limits<float>::denorm_min()});
  for (const at::Tensor& from : {values, special}) {
    at::Tensor to = at::empty({from.numel()}, at::kBFloat16);
    round_to_bfloat16(from.const_data_ptr<float>(), to.mutable_data_ptr<c10::BFloat16>(), from.numel());
    EXPECT_TRUE(to.equal(narrow(from)));
  }
  const float nan[] = {std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(0x7fffffffu)};
  c10::BFloat16 to[2];
  round_to_bfloat16(nan, to, 2);
  EXPECT_TRUE(std::isnan(static_cast<float>(to[0])) && std::isnan(static_cast<float>(to[1])));
}

class Bfloat16Rows : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Rows, Bfloat16Rows, testing::Values(1, 5, 197, 1100));

TEST_P(Bfloat16Rows, LinearIsAsExactAsItsOperands) {
  const at::Tensor tokens = uniform({GetParam(), 24}, 1), weight = uniform({7, 24}, 2), bias = uniform({7}, 3);
  for (const at::Tensor& added : {bias, at::Tensor()}) {
    const at::Tensor found = on_any_threads([&] { return linear(tokens, narrow(weight), added); });
    const at::Tensor wide_bias = added.defined() ? wide(added) : added;
    expect_within(found, at::linear(wide(tokens), wide(weight), wide_bias),
                  test::product_bound(wide(tokens), wide(weight).t()));
    // Beyond the rounding of its operands it is as exact as float32.
    const at::Tensor of_rounded = at::linear(wide(narrow(tokens)), wide(narrow(weight)), wide_bias);
    EXPECT_LT(relative_difference(found, of_rounded), 1e-6);
  }
}

TEST_P(Bfloat16Rows, FeedForwardIsAsExactAsItsOperands) {
  const at::Tensor tokens = uniform({GetParam(), 24}, 1, 4), b1 = uniform({96}, 3), b2 = uniform({24}, 5);
  const at::Tensor w1 = uniform({96, 24}, 2), w2 = uniform({24, 96}, 4), narrow1 = narrow(w1), narrow2 = narrow(w2);
  for (const bool gelu : {false, true}) {
    const Bfloat16FeedForward layer{.w1 = {narrow1.const_data_ptr<c10::BFloat16>(), 24, true},
                                    .w2 = {narrow2.const_data_ptr<c10::BFloat16>(), 96, true},
                                    .b1 = b1.const_data_ptr<float>(),
                                    .b2 = b2.const_data_ptr<float>(),
                                    .width = 24,
                                    .hidden = 96,
                                    .gelu = gelu};
    const auto expected =
        test::two_layers(wide(tokens), wide(w1).t(), wide(b1), wide(w2).t(), gelu, at::ones({96}, at::kDouble));
    expect_within(on_any_threads([&] { return bfloat16_feed_forward(tokens, layer); }), expected.exact + wide(b2),
                  expected.bound);
  }
}

// Against the attention of the rounded queries, keys and values: its weights, all positive, are off by 2^-8 of
// themselves, and so is what they weigh.
TEST(Bfloat16, AttentionIsAsExactAsItsWeights) {
  for (const int64_t tokens : {1, 17, 197}) {
    const at::Tensor query = uniform({2, tokens, 24}, 1, 3), key = uniform({2, tokens, 24}, 2, 3);
    const at::Tensor value = uniform({2, tokens, 24}, 3);
    const at::Tensor found = on_any_threads([&] { return bfloat16_attention(query, key, value, 3); });
    const auto exact = [&](const at::Tensor& values) {
      const auto heads = [](const at::Tensor& all) { return all.unflatten(-1, {3, 8}).transpose(1, 2); };
      return at::scaled_dot_product_attention(heads(wide(narrow(query))), heads(wide(narrow(key))), heads(values))
          .transpose(1, 2)
          .flatten(2);
    };
    const at::Tensor rounded = wide(narrow(value)), bound = exact(rounded.abs()) * (0x1p-8 + 0x1p-16);
    EXPECT_LE(((wide(found) - exact(rounded)).abs() / bound).max().item<double>(), 1) << tokens;
    const double farthest = (wide(found) - exact(rounded)).abs().max().item<double>();
    EXPECT_TRUE(tokens == 1 || farthest > 1e-5) << tokens;  // the weight of a single token is 1, which is exact
  }
}

TEST(Bfloat16, AsksForNoGradients) {
  const at::Tensor tokens = uniform({3, 8}, 1).requires_grad_();
  EXPECT_THROW(bfloat16_linear(tokens, narrow(uniform({4, 8}, 2)), {}), c10::Error);
}

}  // namespace
}  // namespace acm::nn
