// Products in bfloat16 against float64: no further away than the rounding of their operands explains.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "nn/kernels/attention.h"
#include "nn/kernels/bfloat16_layers.h"
#include "nn/kernels/bfloat16_product.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/pairs_product.h"
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
  const at::Tensor scales = at::tensor({1e-30, 1e-20, 1.0, 1e20, 3e38}, at::kFloat);
  const at::Tensor values = (uniform({1000, 1}, 1) * scales).flatten();
  const float infinity = std::numeric_limits<float>::infinity();
  // Ties to even upwards and downwards, the largest float32, and what is not a number.
  const at::Tensor special =
      at::tensor({0.0f, -0.0f, 1.00390625f, 1.01171875f, std::numeric_limits<float>::max(), infinity, -infinity,
                  std::numeric_limits<float>::min(), std::numeric_limits<float>::denorm_min()});
  for (const at::Tensor& from : {values, special}) {
    at::Tensor to = at::empty({from.numel()}, at::kBFloat16);
    round_to_bfloat16(from.const_data_ptr<float>(), to.mutable_data_ptr<c10::BFloat16>(), from.numel());
    EXPECT_TRUE(to.equal(narrow(from)));
  }
  // Below the smallest normal number there is 0: processors that multiply bfloat16 numbers know none.
  const float others[] = {0.9f * std::numeric_limits<float>::min(), -0.9f * std::numeric_limits<float>::min(),
                          std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(0x7fffffffu)};
  c10::BFloat16 to[4];
  round_to_bfloat16(others, to, 4);
  EXPECT_EQ(to[0].x, 0);
  EXPECT_EQ(to[1].x, 0x8000);
  EXPECT_TRUE(std::isnan(static_cast<float>(to[2])) && std::isnan(static_cast<float>(to[3])));
}

// All that panels and tiles leave over, with more rows and columns than are multiplied; each row with the bits that it
// has alone.
TEST(Bfloat16, PairsMultiplyTheirFirstRowsAndColumns) {
  if (!multiplies_pairs()) GTEST_SKIP() << "this processor multiplies no pairs of bfloat16 numbers";
  constexpr int64_t kInner = 26, kColumns = 112;
  const at::Tensor a = narrow(uniform({31, kInner}, 1)), b = narrow(uniform({kInner, kColumns}, 2)),
                   bias = uniform({kColumns}, 3);
  at::Tensor laid_out = at::empty_like(b);
  lay_out_pairs(b.const_data_ptr<c10::BFloat16>(), kColumns, 1, kInner, kColumns,
                laid_out.mutable_data_ptr<c10::BFloat16>());
  const PairsView pairs{laid_out.const_data_ptr<c10::BFloat16>(), kInner, kColumns};
  const std::vector<int64_t> order = {3, 1, 30};
  for (const int64_t columns : {16, 32, 48, 64, 96, 112}) {
    for (const int64_t inner : {2, 24, 26}) {
      for (const float* added : {bias.const_data_ptr<float>(), static_cast<const float*>(nullptr)}) {
        at::Tensor found = at::zeros({31, kColumns + 1}, at::kFloat), some = at::zeros_like(found);
        const RowsView<const c10::BFloat16> rows{a.const_data_ptr<c10::BFloat16>(), kInner};
        multiply_pairs(31, columns, inner, rows, pairs, added, {found.mutable_data_ptr<float>(), kColumns + 1});
        const at::Tensor exact =
            at::matmul(wide(a.narrow(1, 0, inner)), wide(b.narrow(0, 0, inner).narrow(1, 0, columns)));
        const at::Tensor expected = added != nullptr ? exact + wide(bias.narrow(0, 0, columns)) : exact;
        EXPECT_LT(relative_difference(found.narrow(1, 0, columns), expected), 1e-6) << columns << " " << inner;
        EXPECT_EQ(found.narrow(1, columns, kColumns + 1 - columns).abs().max().item<float>(), 0);
        multiply_pairs(3, columns, inner, {rows.data, kInner, order.data()}, pairs, added,
                       {some.mutable_data_ptr<float>(), kColumns + 1, order.data()});
        for (const int64_t row : order) EXPECT_TRUE(some[row].equal(found[row]));
      }
    }
  }
}

class Bfloat16Rows : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Rows, Bfloat16Rows, testing::Values(1, 5, 197, 1100));

TEST_P(Bfloat16Rows, LinearIsAsExactAsItsOperands) {
  const at::Tensor tokens = uniform({GetParam(), 24}, 1), weight = uniform({80, 24}, 2), bias = uniform({80}, 3);
  const at::Tensor best = bfloat16_weight(weight, /*transposed=*/true, 24);
  EXPECT_EQ(best.dim(), prefers_pairs() ? 3 : 2);
  for (const auto& [form, added] :
       {std::pair{narrow(weight), bias}, std::pair{narrow(weight), at::Tensor()}, std::pair{best, bias}}) {
    const at::Tensor found = on_any_threads([&, form = form, added = added] { return linear(tokens, form, added); });
    const at::Tensor wide_bias = added.defined() ? wide(added) : added;
    expect_within(found, at::linear(wide(tokens), wide(weight), wide_bias),
                  test::product_bound(wide(tokens), wide(weight).t()));
    // Beyond the rounding of its operands it is as exact as float32.
    const at::Tensor of_rounded = at::linear(wide(narrow(tokens)), wide(narrow(weight)), wide_bias);
    EXPECT_LT(relative_difference(found, of_rounded), 1e-6);
  }
}

TEST_P(Bfloat16Rows, FeedForwardIsAsExactAsItsOperands) {
  const at::Tensor tokens = uniform({GetParam(), 32}, 1, 4), b1 = uniform({96}, 3), b2 = uniform({32}, 5);
  const at::Tensor w1 = uniform({96, 32}, 2), w2 = uniform({32, 96}, 4);
  const auto best = [](const at::Tensor& weight) { return bfloat16_weight(weight, true, weight.size(1)); };
  for (const auto& [first, second] : {std::pair{narrow(w1), narrow(w2)}, std::pair{best(w1), best(w2)}}) {
    for (const bool gelu : {false, true}) {
      const Bfloat16FeedForward layer{.w1 = view_weight(first, 32, 96, true),
                                      .w2 = view_weight(second, 96, 32, true),
                                      .b1 = b1.const_data_ptr<float>(),
                                      .b2 = b2.const_data_ptr<float>(),
                                      .width = 32,
                                      .hidden = 96,
                                      .gelu = gelu};
      const auto expected =
          test::two_layers(wide(tokens), wide(w1).t(), wide(b1), wide(w2).t(), gelu, at::ones({96}, at::kDouble));
      expect_within(on_any_threads([&] { return bfloat16_feed_forward(tokens, layer); }), expected.exact + wide(b2),
                    expected.bound);
    }
  }
}

// Against the attention of the rounded queries, keys and values: its weights, all positive, are off by 2^-8 of
// themselves, and so is what they weigh.
TEST(Bfloat16, AttentionIsAsExactAsItsWeights) {
  for (const int64_t size : {8, 32}) {  // of a head; pairs need whole vectors
    for (const int64_t tokens : {1, 17, 197}) {
      const at::Tensor query = uniform({2, tokens, 3 * size}, 1, 3), key = uniform({2, tokens, 3 * size}, 2, 3);
      const at::Tensor value = uniform({2, tokens, 3 * size}, 3);
      const at::Tensor found = on_any_threads([&] { return bfloat16_attention(query, key, value, 3); });
      const auto exact = [&](const at::Tensor& values) {
        const auto heads = [&](const at::Tensor& all) { return all.unflatten(-1, {3, size}).transpose(1, 2); };
        return at::scaled_dot_product_attention(heads(wide(narrow(query))), heads(wide(narrow(key))), heads(values))
            .transpose(1, 2)
            .flatten(2);
      };
      const at::Tensor rounded = wide(narrow(value)), bound = exact(rounded.abs()) * (0x1p-8 + 0x1p-16);
      EXPECT_LE(((wide(found) - exact(rounded)).abs() / bound).max().item<double>(), 1) << tokens;
      const double farthest = (wide(found) - exact(rounded)).abs().max().item<double>();
      EXPECT_TRUE(tokens == 1 || farthest > 1e-5) << tokens;  // the weight of a single token is 1, which is exact
    }
    const at::Tensor none = at::empty({0, 17, 3 * size}, at::kFloat);
    EXPECT_EQ(on_any_threads([&] { return bfloat16_attention(none, none, none, 3); }).sizes(), none.sizes());
  }
}

TEST(Bfloat16, AsksForNoGradients) {
  const at::Tensor tokens = uniform({3, 8}, 1).requires_grad_();
  EXPECT_THROW(bfloat16_linear(tokens, narrow(uniform({4, 8}, 2)), {}), c10::Error);
}

}  // namespace
}  // namespace acm::nn
