#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>

#include "io/safetensors.h"
#include "nn/task.h"
#include "unit/nn/shared_golden.h"

namespace acm::nn {
namespace {

std::vector<int64_t> counts_of(const at::Tensor& outputs, const at::Tensor& labels) {
  data::Batch batch;
  batch.labels = labels;
  const at::Tensor counts = make_classification()->counts(outputs, batch);
  EXPECT_EQ(counts.scalar_type(), at::kLong);
  return {counts[0].item<int64_t>(), counts[1].item<int64_t>(), counts[2].item<int64_t>()};
}

using Counts = std::vector<int64_t>;  // samples, top-1 hits, top-5 hits

TEST(Classification, LossIsTheCrossEntropyOfEachSample) {
  data::Batch batch;
  batch.labels = at::tensor({2, 0}, at::kLong);
  const at::Tensor outputs = at::tensor({0.5, -1.0, 2.0, 1.0, 1.0, 4.0}, at::kDouble).view({2, 3});
  const at::Tensor expected = -at::log_softmax(outputs, 1).gather(1, batch.labels.unsqueeze(1)).squeeze(1);
  EXPECT_TRUE(make_classification()->losses(outputs, batch).allclose(expected, 1e-14));
}

TEST(Classification, LossComparesWithSoftTargetsWhereThereAreSome) {
  data::Batch batch;
  batch.labels = at::tensor({2, 0}, at::kLong);
  batch.targets = at::tensor({0.25F, 0.0F, 0.75F, 0.5F, 0.5F, 0.0F}).view({2, 3});
  const at::Tensor outputs = at::tensor({0.5, -1.0, 2.0, 1.0, 1.0, 4.0}, at::kDouble).view({2, 3});
  const at::Tensor expected = -(at::log_softmax(outputs, 1) * batch.targets).sum(1);
  EXPECT_TRUE(make_classification()->losses(outputs, batch).allclose(expected, 1e-14));
  EXPECT_EQ(make_classification()->counts(outputs, batch)[1].item<int64_t>(), 1) << "hits are those of the labels";
}

TEST(Classification, AnEqualScoreOfALowerClassStandsBeforeTheLabel) {
  const at::Tensor tied = at::tensor({1.0, 1.0, 0.0}, at::kDouble).view({1, 3});
  EXPECT_EQ(counts_of(tied, at::tensor({0}, at::kLong)), (Counts{1, 1, 1}));
  EXPECT_EQ(counts_of(tied, at::tensor({1}, at::kLong)), (Counts{1, 0, 1}));
  const at::Tensor flat = at::zeros({1, 7});
  EXPECT_EQ(counts_of(flat, at::tensor({4}, at::kLong)), (Counts{1, 0, 1}));
  EXPECT_EQ(counts_of(flat, at::tensor({5}, at::kLong)), (Counts{1, 0, 0}));
}

TEST(Classification, ScoresThatAreNotNumbersNeverHit) {
  const at::Tensor broken = at::full({2, 7}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(counts_of(broken, at::tensor({0, 6}, at::kLong)), (Counts{2, 0, 0}));
}

TEST(Classification, FiguresAreSharesOfTheSamples) {
  const auto figures = make_classification()->figures(at::tensor({8, 2, 6}, at::kLong));
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures[0], (std::pair<std::string, double>{"top1", 0.25}));
  EXPECT_EQ(figures[1], (std::pair<std::string, double>{"top5", 0.75}));
}

TEST(Classification, CountsMatchTheReference) {
  ACM_NEEDS_SHARED_GOLDEN("metrics/topk.safetensors");
  const io::SafetensorsFile file(golden);
  for (const std::string prefix : {"", "small."}) {
    const at::Tensor labels = file.read(prefix + "labels");
    const Counts expected = {labels.numel(), file.read(prefix + "top1").sum().item<int64_t>(),
                             file.read(prefix + "top5").sum().item<int64_t>()};
    EXPECT_EQ(counts_of(file.read(prefix + "logits"), labels), expected);
  }
}

}  // namespace
}  // namespace acm::nn
