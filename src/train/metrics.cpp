#include "train/metrics.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "train/pairwise_sum.h"

namespace acm::train {

Metrics::Slice& Metrics::slice() {
  if (slices_.size() <= current_) slices_.resize(current_ + 1);
  return slices_[current_];
}

void Metrics::add(std::string_view name, const at::Tensor& value) {
  const at::NoGradGuard no_grad;
  at::Tensor& sum = slice().sums[std::string(name)];
  const at::Tensor wide = value.detach().to(at::kDouble);
  sum = sum.defined() ? sum.add(wide) : wide.clone();  // the caller may overwrite its tensor
}

void Metrics::add(std::string_view name, double value) { slice().numbers[std::string(name)] += value; }

std::map<std::string, double> Metrics::Slice::figures() const {
  std::map<std::string, double> figures(numbers.begin(), numbers.end());
  for (const auto& [name, sum] : sums) figures[name] += sum.item<double>();
  return figures;
}

std::map<std::string, double> Metrics::take(comm::Communicator& group) {
  std::vector<std::map<std::string, double>> mine;
  std::map<std::string, double> figures;
  for (const Slice& each : slices_) mine.push_back(each.figures());
  for (const auto& each : mine) figures.insert(each.begin(), each.end());
  if (!figures.empty()) {
    const auto slices = static_cast<int64_t>(mine.size()), names = static_cast<int64_t>(figures.size());
    const at::Tensor own = at::zeros({slices, names}, at::kDouble);
    double* values = own.mutable_data_ptr<double>();
    for (const auto& each : mine) {
      for (const auto& [name, value] : figures) {
        if (const auto found = each.find(name); found != each.end()) *values = found->second;
        ++values;
      }
    }
    PairwiseSum sum;
    for (const at::Tensor& each : group.all_gather(own).flatten(0, 1).unbind(0)) sum.add(each);
    const at::Tensor total = sum.take().contiguous();
    const double* reduced = total.const_data_ptr<double>();
    for (auto& [name, value] : figures) value = *reduced++ / static_cast<double>(std::max<int64_t>(1, steps_));
  }
  *this = Metrics();
  return figures;
}

}  // namespace acm::train
