#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <numeric>
#include <vector>

#include "core/random.h"
#include "nn/kernels/attention.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/product.h"
#include "nn/kernels/row_product.h"
#include "nn/random_tensor.h"

namespace acm::nn {
namespace {

at::Tensor uniform(at::IntArrayRef sizes, uint64_t seed, double bound = 1) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  fill_uniform(values, StreamKey(seed), -bound, bound);
  return values;
}

// As a share of the largest expected magnitude.
double error(const at::Tensor& found, const at::Tensor& expected) {
  return ((found.to(at::kDouble) - expected).abs().max() / expected.abs().max()).item<double>();
}

at::Tensor wide(const at::Tensor& tensor) { return tensor.to(at::kDouble); }

// What `compute` gives on one thread and on three, which must be the same bits.
at::Tensor on_any_threads(const std::function<at::Tensor()>& compute) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = compute();
  at::set_num_threads(3);
  const at::Tensor three = compute();
  at::set_num_threads(before);
  EXPECT_TRUE(one.equal(three));
  return one;
}

TEST(Product, MultipliesMatricesAndTransposes) {
  const at::Tensor a = uniform({5, 7}, 1), b = uniform({7, 3}, 2);
  for (const bool a_transposed : {false, true}) {
    for (const bool b_transposed : {false, true}) {
      const at::Tensor a_stored = (a_transposed ? a.t() : a).contiguous(),
                       b_stored = (b_transposed ? b.t() : b).contiguous();
      at::Tensor to = at::zeros({5, 4}, at::kFloat);
      multiply(5, 3, 7, {a_stored.const_data_ptr<float>(), a_stored.size(1), a_transposed},
               {b_stored.const_data_ptr<float>(), b_stored.size(1), b_transposed}, to.mutable_data_ptr<float>(), 4);
      EXPECT_LT(error(to.narrow(1, 0, 3), at::matmul(wide(a), wide(b))), 1e-6) << a_transposed << b_transposed;
      EXPECT_EQ(to.select(1, 3).abs().sum().item<float>(), 0);
    }
  }
}

// The BLAS asks by this name whether it may use all that the processor can. What answers is what the loader finds
// first: this program, not the library with the BLAS.
TEST(Product, TheProgramAnswersForTheProcessor) {
  void* question = dlsym(RTLD_DEFAULT, "mkl_serv_intel_cpu_true");
  ASSERT_NE(question, nullptr);
  Dl_info answers;
  ASSERT_NE(dladdr(question, &answers), 0);
  EXPECT_EQ(std::filesystem::path(answers.dli_fname).filename(),
            std::filesystem::read_symlink("/proc/self/exe").filename());
#if defined(__x86_64__)
  const int answer = reinterpret_cast<int (*)()>(question)();
  if (__builtin_cpu_is("intel") || __builtin_cpu_supports("avx512bw"))
    EXPECT_EQ(answer, 1);
  else
    EXPECT_EQ(answer, 0);
#endif
}

// Rows that stand anywhere, of all widths that vectors of 16 leave over; each with the bits that it has alone.
TEST(RowProduct, MultipliesRowsWhereTheyStand) {
  constexpr int64_t kRows = 40, kColumns = 120;
  std::vector<int64_t> order;
  for (int64_t i = 0; i < 29; ++i) order.push_back((7 * i + 4) % kRows);
  const auto rows = static_cast<int64_t>(order.size());
  const at::Tensor a = uniform({kRows, 9}, 1), bias = uniform({kColumns}, 3), named = at::tensor(order);
  for (const int64_t columns : {1, 4, 15, 24, 32, 48, 79, 112}) {
    const at::Tensor b = uniform({9, kColumns}, 2), to = at::zeros({kRows, kColumns}, at::kFloat);
    const auto multiply_order = [&](int64_t count, const int64_t* which, const float* added, const at::Tensor& result) {
      multiply_rows(count, columns, 9, {a.const_data_ptr<float>(), 9, which}, b.const_data_ptr<float>(), kColumns,
                    added, {result.mutable_data_ptr<float>(), kColumns, which});
    };
    multiply_order(rows, order.data(), bias.const_data_ptr<float>(), to);
    const at::Tensor expected = at::matmul(wide(a), wide(b)) + wide(bias);
    EXPECT_LT(error(to.index({named}).narrow(1, 0, columns), expected.index({named}).narrow(1, 0, columns)), 1e-6);
    EXPECT_EQ(to.narrow(1, columns, kColumns - columns).abs().sum().item<float>(), 0);
    EXPECT_EQ(to.ne(0).any(1).sum().item<int64_t>(), rows);

    const at::Tensor alone = at::zeros_like(to);
    for (const int64_t& row : order) multiply_order(1, &row, bias.const_data_ptr<float>(), alone);
    EXPECT_TRUE(alone.equal(to)) << columns;
    multiply_order(rows, order.data(), nullptr, alone);
    EXPECT_LT(
        error(alone.index({named}).narrow(1, 0, columns), (expected - wide(bias)).index({named}).narrow(1, 0, columns)),
        1e-6);
  }
}

// Of all numbers of outputs that tiles leave over, and of inner numbers that vectors do; each row with the bits that it
// has alone.
TEST(RowProduct, MultipliesToFewOutputs) {
  constexpr int64_t kRows = 35;
  for (const int64_t inner : {3, 16, 75, 192}) {
    const at::Tensor a = uniform({kRows, inner}, 1);
    for (const int64_t outputs : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 19, 32}) {
      const at::Tensor b = uniform({outputs, inner}, 2), bias = uniform({outputs}, 3);
      for (const at::Tensor& added : {bias, at::Tensor()}) {
        const auto multiply_some = [&](int64_t first, int64_t rows, const at::Tensor& to) {
          multiply_to_few(rows, outputs, inner, a.const_data_ptr<float>() + first * inner, b.const_data_ptr<float>(),
                          added.defined() ? added.const_data_ptr<float>() : nullptr,
                          to.mutable_data_ptr<float>() + first * outputs);
        };
        const at::Tensor to = at::full({kRows + 1, outputs}, 7.0f, at::kFloat), alone = at::zeros_like(to);
        multiply_some(0, kRows, to);
        const at::Tensor found = to.narrow(0, 0, kRows);
        EXPECT_LT(error(found, at::linear(wide(a), wide(b), added.defined() ? wide(added) : added)), 1e-6);
        EXPECT_TRUE(to[kRows].eq(7).all().item<bool>());
        for (int64_t row = 0; row < kRows; ++row) multiply_some(row, 1, alone);
        EXPECT_TRUE(alone.narrow(0, 0, kRows).equal(found)) << inner << ' ' << outputs;
      }
    }
  }
}

// Of all sizes that blocks of 4, 8 or 16 leave over, out of rows that are longer into rows that are longer.
TEST(RowProduct, TransposesWhatBlocksLeaveOver) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {16, 32}, {19, 8}, {5, 21}, {50, 64}}) {
    const at::Tensor from = uniform({rows, columns + 3}, 1), to = at::full({columns, rows + 2}, 7.0f, at::kFloat);
    transpose(rows, columns, from.const_data_ptr<float>(), columns + 3, to.mutable_data_ptr<float>(), rows + 2);
    EXPECT_TRUE(to.narrow(1, 0, rows).equal(from.narrow(1, 0, columns).t())) << rows << ' ' << columns;
    EXPECT_TRUE(to.narrow(1, rows, 2).eq(7).all().item<bool>());
  }
}

class KernelRows : public testing::TestWithParam<int64_t> {};

TEST_P(KernelRows, LinearEqualsTheTensorOperation) {
  for (const int64_t inputs : {24, 100}) {
    const at::Tensor tokens = uniform({GetParam(), inputs}, 1);
    for (const int64_t outputs : {4, 7, 40}) {  // of 100 inputs, the first two are few_outputs()
      const at::Tensor weight = uniform({outputs, inputs}, 2), bias = uniform({outputs}, 3);
      for (const at::Tensor& added : {bias, at::Tensor()}) {
        const at::Tensor found = on_any_threads([&] { return linear(tokens, weight, added); });
        EXPECT_LT(error(found, at::linear(wide(tokens), wide(weight), added.defined() ? wide(added) : added)), 1e-6);
      }
    }
  }
}

TEST_P(KernelRows, FeedForwardEqualsTheTensorOperations) {
  const at::Tensor tokens = uniform({GetParam(), 24}, 1, 4), w1 = uniform({96, 24}, 2), b1 = uniform({96}, 3);
  const at::Tensor w2 = uniform({24, 96}, 4), b2 = uniform({24}, 5);
  for (const bool gelu : {false, true}) {
    const FeedForward layer{.w1 = {w1.const_data_ptr<float>(), 24, true},
                            .w2 = {w2.const_data_ptr<float>(), 96, true},
                            .b1 = b1.const_data_ptr<float>(),
                            .b2 = b2.const_data_ptr<float>(),
                            .width = 24,
                            .hidden = 96,
                            .gelu = gelu};
    const at::Tensor found = on_any_threads([&] { return feed_forward(tokens, layer); });
    const at::Tensor hidden = at::linear(wide(tokens), wide(w1), wide(b1));
    EXPECT_LT(error(found, at::linear(gelu ? at::gelu(hidden) : hidden, wide(w2), wide(b2))), 1e-6) << gelu;
  }
}

// 1100 rows are more than one block of any layer.
INSTANTIATE_TEST_SUITE_P(Rows, KernelRows, testing::Values(1, 5, 197, 1100));

TEST(Attention, EqualsTheTensorOperation) {
  for (const int64_t tokens : {1, 17, 197}) {
    const at::Tensor query = uniform({2, tokens, 24}, 1, 3), key = uniform({2, tokens, 24}, 2, 3);
    const at::Tensor value = uniform({2, tokens, 24}, 3);
    const at::Tensor found = on_any_threads([&] { return attention(query, key, value, 3); });
    const auto heads = [](const at::Tensor& all) { return wide(all).unflatten(-1, {3, 8}).transpose(1, 2); };
    const at::Tensor expected =
        at::scaled_dot_product_attention(heads(query), heads(key), heads(value)).transpose(1, 2).flatten(2);
    EXPECT_LT(error(found, expected), 1e-6) << tokens;
  }
  const at::Tensor none = at::empty({0, 17, 24}, at::kFloat);
  EXPECT_EQ(on_any_threads([&] { return attention(none, none, none, 3); }).sizes(), none.sizes());
}

TEST(Kernels, ApplyToPackedFloat32WithoutGradients) {
  const at::Tensor tensor = uniform({4, 6}, 1), trained = uniform({4}, 2).requires_grad_();
  EXPECT_TRUE(kernels_apply({tensor, at::Tensor()}));
  EXPECT_FALSE(kernels_apply({tensor, trained}));
  EXPECT_FALSE(kernels_apply({tensor, wide(tensor)}));
  EXPECT_FALSE(kernels_apply({tensor, tensor.t()}));
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(kernels_apply({tensor, trained}));
}

TEST(Kernels, BlocksCoverTheRowsEvenly) {
  EXPECT_EQ(even_height(197, 64), 50);
  EXPECT_EQ(even_height(64, 64), 64);
  EXPECT_EQ(most_block_rows(197, 768), 96);
  EXPECT_EQ(most_block_rows(1 << 20, 768), (1 << 20) / 768);
}

TEST(Kernels, EachPieceOfWorkIsDoneOnce) {
  std::vector<std::atomic<int>> done(101);
  share_among_threads(101, [&](int64_t i) { ++done[static_cast<size_t>(i)]; });
  for (const auto& times : done) EXPECT_EQ(times, 1);
  share_among_threads(0, [](int64_t) { FAIL(); });
}

}  // namespace
}  // namespace acm::nn
