#include "nn/kernels/vector_math.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/random.h"
#include "nn/random_tensor.h"

namespace acm::nn {
namespace {

at::Tensor uniform(at::IntArrayRef sizes, double bound, uint64_t seed) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  fill_uniform(values, StreamKey(seed), -bound, bound);
  return values;
}

double largest_error(const at::Tensor& found, const at::Tensor& expected) {
  return (found.to(at::kDouble) - expected).abs().max().item<double>();
}

TEST(VectorMath, GeluIsWithin4e7OfFloat64) {
  const at::Tensor inputs = at::linspace(-10, 10, 1'000'003, at::kFloat);
  at::Tensor values = inputs.clone();
  gelu(values.mutable_data_ptr<float>(), values.numel());
  EXPECT_LE(largest_error(values, at::gelu(inputs.to(at::kDouble))), 4e-7);
}

TEST(VectorMath, GeluOfTheFarTailsIsTheInputOrNothing) {
  std::vector<float> values = {-1e30f, -100, -13, 13, 100, 1e30f};
  gelu(values.data(), 6);
  EXPECT_EQ(values, (std::vector<float>{0, 0, 0, 13, 100, 1e30f}));
}

TEST(VectorMath, GeluKeepsWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = {std::nanf(""), kInfinity, -kInfinity};
  gelu(values.data(), 3);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], kInfinity);
  EXPECT_FALSE(std::isfinite(values[2]));
}

TEST(VectorMath, AddsTheBiasBeforeGelu) {
  const at::Tensor inputs = uniform({7, 37}, 4, 1), bias = uniform({37}, 1, 2);
  at::Tensor values = inputs.clone();
  add_bias_and_gelu(values.mutable_data_ptr<float>(), bias.const_data_ptr<float>(), 7, 37);
  EXPECT_LE(largest_error(values, at::gelu((inputs + bias).to(at::kDouble))), 4e-7);
}

TEST(VectorMath, SlopesOfGeluAreWithin5e7OfFloat64) {
  const at::Tensor inputs = at::linspace(-10, 10, 1'000'003, at::kFloat);
  at::Tensor values = inputs.clone(), slopes = at::empty_like(inputs);
  const float no_bias = 0;
  add_bias_and_gelu_with_slopes(values.mutable_data_ptr<float>(), slopes.mutable_data_ptr<float>(), &no_bias,
                                values.numel(), 1);
  const at::Tensor exact = inputs.to(at::kDouble);
  EXPECT_LE(largest_error(values, at::gelu(exact)), 4e-7);
  EXPECT_LE(largest_error(slopes, at::gelu_backward(at::ones_like(exact), exact)), 5e-7);
}

TEST(VectorMath, ColumnSumsAreAddedToWhatIsThere) {
  const at::Tensor values = uniform({5, 40}, 1, 1);
  at::Tensor sums = at::ones({37}, at::kFloat);
  add_column_sums(sums.mutable_data_ptr<float>(), values.const_data_ptr<float>(), 5, 37, 40);
  EXPECT_LE(largest_error(sums, values.narrow(1, 0, 37).to(at::kDouble).sum(0) + 1), 1e-6);
}

TEST(VectorMath, ErrorsOfPrefixesAndTheirSquares) {
  const at::Tensor parts = uniform({3, 4, 37}, 1, 1), target = uniform({4, 37}, 1, 2);
  at::Tensor errors = parts.clone(), squares = at::empty({4, 3}, at::kFloat);
  prefix_errors(errors.mutable_data_ptr<float>(), target.const_data_ptr<float>(), squares.mutable_data_ptr<float>(), 3,
                4, 37);
  const at::Tensor expected = parts.to(at::kDouble).cumsum(0) - target;
  EXPECT_LE(largest_error(errors, expected), 1e-6);
  EXPECT_LE(largest_error(squares, expected.square().sum(-1).t()), 1e-5);
  at::Tensor sums = parts.clone();
  suffix_sums(sums.mutable_data_ptr<float>(), 3, 4 * 37);
  EXPECT_LE(largest_error(sums, parts.to(at::kDouble).flip(0).cumsum(0).flip(0)), 1e-6);
}

TEST(VectorMath, WhatANumberBecomesDoesNotDependOnItsPlace) {
  const at::Tensor inputs = uniform({100}, 6, 1);
  at::Tensor whole = inputs.clone();
  gelu(whole.mutable_data_ptr<float>(), 100);
  for (int64_t first = 0; first < 100; ++first) {
    at::Tensor rest = inputs.narrow(0, first, 100 - first).clone();
    gelu(rest.mutable_data_ptr<float>(), 100 - first);
    EXPECT_TRUE(rest.equal(whole.narrow(0, first, 100 - first))) << first;
  }
}

TEST(VectorMath, ExponentialsMakeASoftmax) {
  const at::Tensor inputs = at::cat({uniform({5, 197}, 3, 1), uniform({5, 197}, 500, 2)});
  const at::Tensor expected = (inputs.to(at::kDouble) * 0.5).softmax(-1);
  for (const int64_t stride : {197, 208}) {
    at::Tensor values = at::full({10, stride}, 1e6f), sums = at::empty({10}, at::kFloat);
    values.narrow(1, 0, 197).copy_(inputs);
    exponentials(values.mutable_data_ptr<float>(), sums.mutable_data_ptr<float>(), 0.5f, 10, 197, stride);
    EXPECT_LE(largest_error(values.narrow(1, 0, 197) / sums.unsqueeze(1), expected), 2e-7) << stride;
    EXPECT_TRUE(values.narrow(1, 197, stride - 197).eq(0).all().item<bool>());
  }
}

TEST(VectorMath, LayerNormIsThatOfFloat64) {
  for (const int64_t columns : {192, 197, 768}) {
    const at::Tensor values = uniform({50, columns}, 3, 1) + 7, added = uniform({50, columns}, 3, 2);
    const at::Tensor weight = uniform({columns}, 2, 3), bias = uniform({columns}, 2, 4);
    const auto expected = [&](const at::Tensor& of) {
      return at::layer_norm(of.to(at::kDouble), {columns}, weight.to(at::kDouble), bias.to(at::kDouble), 1e-6);
    };
    at::Tensor to = at::empty_like(values), sum = at::empty_like(values);
    const auto run = [&](const float* other) {
      layer_norm({values.const_data_ptr<float>(), other, sum.mutable_data_ptr<float>(), to.mutable_data_ptr<float>()},
                 weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), 1e-6f, 50, columns);
    };
    run(nullptr);
    EXPECT_LE(largest_error(to, expected(values)), 4e-6);
    run(added.const_data_ptr<float>());
    EXPECT_TRUE(sum.equal(values + added));
    EXPECT_LE(largest_error(to, expected(values + added)), 4e-6);
  }
}

TEST(VectorMath, ARowWithNanHasNoSum) {
  std::vector<float> values = {1, std::nanf(""), 2, 3}, sums(2);
  exponentials(values.data(), sums.data(), 1, 2, 2, 2);
  EXPECT_TRUE(std::isnan(sums[0]));
  EXPECT_TRUE(std::isfinite(sums[1]));
}

}  // namespace
}  // namespace acm::nn
