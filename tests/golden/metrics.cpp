#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "golden/kinds.h"
#include "nn/task.h"

namespace golden {

namespace {

// Counts {samples, top-1 hits, top-5 hits} of each sample by itself, int64 [samples, 3].
at::Tensor counts_by_sample(const acm::nn::Task& task, const at::Tensor& logits, const at::Tensor& labels) {
  std::vector<at::Tensor> counts;
  for (int64_t i = 0; i < labels.size(0); ++i) {
    acm::data::Batch batch;
    batch.labels = labels.slice(0, i, i + 1);
    batch.positions = at::arange(i, i + 1, at::kLong);
    counts.push_back(task.counts(logits.slice(0, i, i + 1), batch));
  }
  return at::stack(counts);
}

}  // namespace

void test_topk(Case& golden) {
  const auto task = acm::nn::make_classification();
  for (const std::string set : {"", "small."}) {
    SCOPED_TRACE(set);
    const at::Tensor logits = golden.tensor(set + "logits"), labels = golden.tensor(set + "labels");
    const at::Tensor by_sample = counts_by_sample(*task, logits, labels);
    golden.expect(set + "top1", by_sample.select(1, 1) == 1);
    golden.expect(set + "top5", by_sample.select(1, 2) == 1);

    acm::data::Batch batch;
    batch.labels = labels;
    batch.positions = at::arange(labels.size(0), at::kLong);
    const at::Tensor counts = task->counts(logits, batch);
    EXPECT_TRUE(counts.equal(by_sample.sum(0)));
    for (const auto& [name, value] : task->figures(counts)) {
      if (golden.has(set + name + "_rate")) golden.expect(set + name + "_rate", at::scalar_tensor(value, at::kDouble));
    }
  }
}

}  // namespace golden
