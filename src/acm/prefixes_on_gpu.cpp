#include "acm/prefixes_on_gpu.h"

#include <ATen/ops/empty.h>

#include "acm/cuda/prefix_rows.h"
#include "nn/cuda/stream.h"

namespace acm {

bool prefixes_on_gpu(const at::Tensor& target, const LearnerWeights& weights) {
  return target.is_cuda() && target.scalar_type() != at::kDouble && weights.w2.scalar_type() == at::kFloat &&
         weights.learners <= kMostPrefixes;
}

at::Tensor run_prefix_gradients_on_gpu(const at::Tensor& outputs, const at::Tensor& target, const at::Tensor& b2,
                                       bool nested) {
  const at::Tensor wanted = target.contiguous();
  const PrefixRows pass{.learners = outputs.size(0),
                        .rows = outputs.size(1),
                        .width = outputs.size(2),
                        .outputs = outputs.mutable_data_ptr<float>(),
                        .b2 = b2.defined() ? b2.const_data_ptr<float>() : nullptr,
                        .target_type = wanted.scalar_type(),
                        .target = wanted.const_data_ptr()};
  const at::Tensor squares = at::empty({square_parts(pass)}, outputs.options().dtype(at::kDouble));
  nn::check_launch(
      prefix_gradients_on_gpu(pass, nested, squares.mutable_data_ptr<double>(), nn::OnGpu(outputs.device()).stream()),
      "find the errors of prefixes");
  return squares.sum();
}

}  // namespace acm
