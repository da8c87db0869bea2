
#include <algorithm>
#include <array>

#include "train/optimizer.h"

namespace acm::train {
namespace {

constexpr int64_t kLanes = 8;     // independent sums, so that the additions need not wait for each other
constexpr int64_t kBlock = 4096;  // values to a partial sum: keeps the rounding of long sums small

template <typename Value>
double sum_of_block(const Value* values, int64_t count) {
  std::array<double, kLanes> lanes{};
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (int64_t i = whole; i < count; ++i) lanes[i - whole] += static_cast<double>(values[i]) * values[i];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <typename Value>
double sum_in_order(const at::Tensor& tensor) {
  const Value* values = tensor.const_data_ptr<Value>();
  double sum = 0;
  for (int64_t begin = 0; begin < tensor.numel(); begin += kBlock) {
    sum += sum_of_block(values + begin, std::min(kBlock, tensor.numel() - begin));
  }
  return sum;
}

}  // namespace

double ordered_sum_of_squares(const at::Tensor& tensor) {
  if (!tensor.is_cpu()) {
    const at::Tensor wide = tensor.detach().to(at::kDouble);
    return wide.mul(wide).sum().item<double>();
  }
  const at::Tensor dense = tensor.detach().contiguous();
  if (dense.scalar_type() == at::kDouble) return sum_in_order<double>(dense);
  return sum_in_order<float>(dense.to(at::kFloat));
}

}  // namespace acm::train
