// Gated execution by the kernels for GPUs: on a GPU, or on the CPU where they are built without CUDA (emulated/).
#include "acm/gated_on_gpu.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <span>

#include "acm/cuda/gated_products.h"
#include "acm/cuda/token_rows.h"
#include "core/random.h"
#include "device/test_device.h"
#include "nn/autocast.h"
#include "nn/cuda/stream.h"
#include "unit/acm/masked_reference.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

constexpr int64_t kLearners = 4;

void* stream() { return nn::OnGpu(test_device()).stream(); }

TEST(TokensOnAGpu, AreOrderedByFallingCountAndStay) {
  for (const int64_t rows : {1, 5, 1024, 1025, 2100}) {
    const at::Tensor choice = test::random_choice(rows, kLearners, 1), there = choice.to(test_device());
    const at::Tensor order = at::full_like(there, -1), sizes = at::full({kLearners + 2}, -1, there.options());
    const at::Tensor counts = at::full({order_segments(rows), kLearners + 2}, -1, there.options());
    ASSERT_EQ(order_on_gpu(there.const_data_ptr<int64_t>(), rows, kLearners, counts.mutable_data_ptr<int64_t>(),
                           order.mutable_data_ptr<int64_t>(), sizes.mutable_data_ptr<int64_t>(), stream()),
              nullptr);
    const int64_t* count = choice.const_data_ptr<int64_t>();
    std::vector<int64_t> expected(static_cast<size_t>(rows));
    std::iota(expected.begin(), expected.end(), 0);
    std::ranges::stable_sort(expected, [&](int64_t a, int64_t b) { return count[a] > count[b]; });
    const at::Tensor found = order.cpu(), counted = sizes.cpu();
    EXPECT_TRUE(std::ranges::equal(expected, std::span(found.const_data_ptr<int64_t>(), expected.size()))) << rows;
    for (int64_t k = 0; k <= kLearners; ++k) EXPECT_EQ(counted[k].item<int64_t>(), choice.eq(k).sum().item<int64_t>());
  }
}

// Rows of 16, 8, 4, 2 and 1 bytes times something, and one of more bytes than threads move at once.
TEST(TokensOnAGpu, AreGatheredAndScatteredInRowsOfAnyLength) {
  const int64_t rows = 9, filled = 6;
  const at::Tensor order = at::tensor({4, 0, 8, 2, 6, 1, 3, 5, 7}, at::kLong), order_there = order.to(test_device());
  for (const int64_t bytes : {32, 24, 20, 6, 5, 4096}) {
    const at::Tensor from = random_tensor({rows, bytes}, at::kDouble, 1).mul(50).to(at::kChar);
    const at::Tensor there = from.to(test_device()), to = at::full_like(there, 77);
    ASSERT_EQ(gather_on_gpu(there.const_data_ptr(), order_there.const_data_ptr<int64_t>(), filled, bytes,
                            to.mutable_data_ptr(), stream()),
              nullptr);
    EXPECT_TRUE(to.cpu().narrow(0, 0, filled).equal(from.index_select(0, order.narrow(0, 0, filled)))) << bytes;
    EXPECT_TRUE(to.cpu().narrow(0, filled, rows - filled).eq(77).all().item<bool>());
    const at::Tensor back = at::full_like(there, 77);
    ASSERT_EQ(scatter_on_gpu(to.const_data_ptr(), order_there.const_data_ptr<int64_t>(), filled, rows, bytes,
                             back.mutable_data_ptr(), stream()),
              nullptr);
    at::Tensor expected = from.clone();
    expected.index_fill_(0, order.narrow(0, filled, rows - filled), 0);
    EXPECT_TRUE(back.cpu().equal(expected)) << bytes;
  }
}

struct GatedCase {
  int64_t learner_width;
  bool output_bias;
  at::ScalarType type;
  int64_t width = 16, learners = kLearners;
  friend std::ostream& operator<<(std::ostream& to, const GatedCase& c) {
    return to << c.learner_width << " units, " << (c.output_bias ? "bias, " : "") << c.type << ", width " << c.width
              << ", " << c.learners << " learners";
  }
};

class GatedOnAGpu : public testing::TestWithParam<GatedCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, GatedOnAGpu,
                         testing::Values(GatedCase{3, false, at::kFloat}, GatedCase{3, true, at::kFloat},
                                         GatedCase{40, false, at::kFloat}, GatedCase{40, true, at::kFloat},
                                         GatedCase{3, true, at::kBFloat16}, GatedCase{8, true, at::kBFloat16},
                                         GatedCase{18, false, at::kBFloat16}, GatedCase{260, true, at::kBFloat16},
                                         GatedCase{66, true, at::kBFloat16, 600},
                                         GatedCase{20, true, at::kBFloat16, 72, kMostOrdered},
                                         GatedCase{72, false, at::kBFloat16, 72, 1}));

TEST_P(GatedOnAGpu, EqualsTheMaskedReference) {
  const at::NoGradGuard no_grad;
  const GatedCase shape = GetParam();
  const int64_t rows = test_device().is_cpu() ? 300 : 9000;  // a block of a large GPU then gets several tiles
  for (const Activation activation : {Activation::kGelu, Activation::kIdentity}) {
    const auto layer = test::random_layer(
        {shape.width, shape.learners, shape.learner_width, 0, activation, shape.output_bias}, at::kDouble);
    const at::Tensor tokens = random_tensor({rows, shape.width}, at::kFloat, 2);
    for (const at::Tensor& choice :
         {test::random_choice(rows, shape.learners, 1), test::random_choice(rows, shape.learners, 2).clamp_max(2),
          at::full({rows}, 0, at::kLong), at::full({rows}, std::min(shape.learners, int64_t{3}), at::kLong)}) {
      layer->to(at::kCPU, at::kDouble);
      const at::Tensor expected = test::masked_reference(*layer, tokens.to(at::kDouble), choice);
      layer->to(test_device(), at::kFloat);
      KeptTensors kept;
      const nn::Autocast autocast(test_device(), shape.type == at::kBFloat16);
      const at::Tensor found =
          run_chosen_learners_on_gpu(tokens.to(test_device()), choice.to(test_device()), layer->weights(), kept);
      EXPECT_EQ(found.scalar_type(), shape.type);
      EXPECT_LE(relative_difference(found.cpu().to(at::kDouble), expected), shape.type == at::kFloat ? 1e-6 : 1e-2);
    }
  }
}

TEST(GatedOnAGpu, RefusesMoreLearnersThanThereAre) {
  const at::NoGradGuard no_grad;
  const auto layer = test::random_layer({16, kLearners, 40, 0, Activation::kGelu, false}, at::kFloat);
  layer->to(test_device());
  const at::Tensor tokens = random_tensor({2, 16}, at::kFloat, 2).to(test_device());
  const at::Tensor choice = at::full({2}, kLearners + 1, tokens.options().dtype(at::kLong));
  KeptTensors kept;
  EXPECT_THROW(run_chosen_learners_on_gpu(tokens, choice, layer->weights(), kept), c10::Error);
}

// Where the host does not see the counts; of any GPU others do (Refuses...).
TEST(GatedOnAGpu, GivesNoNumbersForImpossibleCounts) {
  const at::NoGradGuard no_grad;
  const auto layer = test::random_layer({16, kLearners, 40, 0, Activation::kGelu, true}, at::kFloat);
  layer->to(test_device());
  const nn::OnGpu gpu(test_device());
  if (!has_gated_products(16, kLearners * 40, 40)) GTEST_SKIP() << "a GPU of another compute capability than 9.0";
  const at::Tensor tokens = random_tensor({3, 16}, at::kFloat, 2).to(test_device(), at::kBFloat16);
  const at::Tensor choice = at::tensor({2, static_cast<int>(kLearners) + 1, 0}, at::kLong).to(test_device());
  KeptTensors kept;
  const at::Tensor found = run_chosen_learners_on_gpu(tokens, choice, layer->weights(), kept).cpu();
  EXPECT_TRUE(found[1].isnan().all().item<bool>());
  EXPECT_TRUE(found[0].isfinite().all().item<bool>());
  EXPECT_TRUE(found[2].eq(0).all().item<bool>());
}

}  // namespace
}  // namespace acm
