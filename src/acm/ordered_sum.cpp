#include "acm/ordered_sum.h"

#include <ATen/ops/scalar_tensor.h>

#include "core/ordered_sum.h"

namespace acm {

at::Tensor ordered_sum_of_squares(const at::Tensor& values) {
  if (!values.device().is_cpu()) return values.to(at::kDouble).square().sum();
  const at::Tensor dense = values.contiguous();
  const auto size = static_cast<size_t>(dense.numel());
  const auto double_scalar = dense.options().dtype(at::kDouble);
  if (dense.scalar_type() == at::kDouble)
    return at::scalar_tensor(ordered_sum_of_squares(std::span(dense.const_data_ptr<double>(), size)), double_scalar);
  const at::Tensor single = dense.to(at::kFloat);
  return at::scalar_tensor(ordered_sum_of_squares(std::span(single.const_data_ptr<float>(), size)), double_scalar);
}

}  // namespace acm
