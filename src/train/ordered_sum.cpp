#include "core/ordered_sum.h"

#include "train/optimizer.h"

namespace acm::train {

double ordered_sum_of_squares(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.detach().contiguous();
  const auto size = static_cast<size_t>(dense.numel());
  if (dense.scalar_type() == at::kDouble)
    return acm::ordered_sum_of_squares(std::span(dense.const_data_ptr<double>(), size));
  const at::Tensor single = dense.to(at::kFloat);
  return acm::ordered_sum_of_squares(std::span(single.const_data_ptr<float>(), size));
}

}  // namespace acm::train
