#include "acm/ordered_sum.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/scalar_tensor.h>

#include <array>

namespace acm {
namespace {

template <typename Value>
double sum_of_squares(const Value* values, int64_t size) {
  constexpr int64_t kLanes = 8;  // independent sums keep the adders busy
  std::array<double, kLanes> lanes{};
  const int64_t whole = size - size % kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = static_cast<double>(values[i + lane]);
      lanes[lane] += value * value;
    }
  }
  for (int64_t i = whole; i < size; ++i) {
    const double value = static_cast<double>(values[i]);
    lanes[i - whole] += value * value;
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

at::Tensor ordered_sum_of_squares(const at::Tensor& values) {
  if (!values.device().is_cpu()) return values.to(at::kDouble).square().sum();
  const at::Tensor dense = values.contiguous();
  double sum = 0;
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, dense.scalar_type(), "ordered_sum_of_squares",
                                  [&] { sum = sum_of_squares(dense.const_data_ptr<scalar_t>(), dense.numel()); });
  return at::scalar_tensor(sum, dense.options().dtype(at::kDouble));
}

}  // namespace acm
