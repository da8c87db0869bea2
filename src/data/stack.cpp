#include "data/stack.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <cstring>
#include <vector>

namespace acm::data {

Batch stack(std::span<const Sample> samples) {
  TORCH_CHECK(!samples.empty(), "a batch without samples");
  const auto count = static_cast<int64_t>(samples.size());
  const auto integers = at::TensorOptions().dtype(at::kLong);
  const at::Tensor& first = samples.front().input;
  std::vector<int64_t> sizes = first.sizes().vec();
  sizes.insert(sizes.begin(), count);
  Batch batch;
  batch.inputs = at::empty(sizes, first.options());
  batch.labels = at::empty({count}, integers);
  batch.positions = at::empty({count}, integers);
  // Plain copies: an operator of the library would start a team of threads of its own under each loader thread.
  auto* to = batch.inputs.mutable_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i, to += first.numel()) {
    const Sample& sample = samples[static_cast<size_t>(i)];
    TORCH_CHECK(sample.input.sizes() == first.sizes(), "inputs of different shapes in one batch");
    std::memcpy(to, sample.input.const_data_ptr<float>(), static_cast<size_t>(first.numel()) * sizeof(float));
    batch.labels.mutable_data_ptr<int64_t>()[i] = sample.label;
    batch.positions.mutable_data_ptr<int64_t>()[i] = sample.position;
  }
  return batch;
}

}  // namespace acm::data
