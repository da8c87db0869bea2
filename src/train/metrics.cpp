#include "train/metrics.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace acm::train {

void Metrics::add(std::string_view name, const at::Tensor& value) {
  const at::NoGradGuard no_grad;
  at::Tensor& sum = sums_[std::string(name)];
  const at::Tensor wide = value.detach().to(at::kDouble);
  sum = sum.defined() ? sum.add(wide) : wide.clone();  // the caller may overwrite its tensor
}

void Metrics::add(std::string_view name, double value) { numbers_[std::string(name)] += value; }

std::map<std::string, double> Metrics::take(comm::Communicator& group) {
  std::map<std::string, double> figures(numbers_.begin(), numbers_.end());
  for (const auto& [name, sum] : sums_) figures[name] += sum.item<double>();
  if (!figures.empty()) {
    at::Tensor all = at::empty({static_cast<int64_t>(figures.size())}, at::kDouble);
    double* values = all.mutable_data_ptr<double>();
    for (const auto& [name, value] : figures) *values++ = value;
    group.all_reduce(all, comm::ReduceOp::kSum)->wait();
    const double* reduced = all.const_data_ptr<double>();
    for (auto& [name, value] : figures) value = *reduced++ / static_cast<double>(std::max<int64_t>(1, steps_));
  }
  *this = Metrics();
  return figures;
}

}  // namespace acm::train
