#include <ATen/core/Reduction.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include "nn/task.h"

namespace acm::nn {
namespace {

// How many classes stand before the label of each sample, int64 [samples]. Written so that a score that is not a number
// stands before everything: it never makes a hit.
at::Tensor classes_ahead(const at::Tensor& scores, const at::Tensor& labels) {
  const at::Tensor label = labels.unsqueeze(1);
  const at::Tensor own = scores.gather(1, label);
  const at::Tensor lower_index = at::arange(scores.size(1), label.options()).lt(label);
  const at::Tensor behind = at::where(lower_index, scores.lt(own), scores.le(own));
  return behind.logical_not().sum(1);
}

class Classification final : public Task {
 public:
  at::Tensor losses(const at::Tensor& outputs, const data::Batch& batch) const override {
    const bool soft = batch.targets.defined();
    return at::cross_entropy_loss(outputs, soft ? batch.targets.to(outputs.dtype()) : batch.labels, {},
                                  at::Reduction::None);
  }

  at::Tensor counts(const at::Tensor& outputs, const data::Batch& batch) const override {
    const at::Tensor ahead = classes_ahead(outputs.detach(), batch.labels);
    const at::Tensor samples = at::full({}, outputs.size(0), ahead.options());
    return at::stack({samples, ahead.lt(1).sum(), ahead.lt(5).sum()});
  }

  std::vector<std::pair<std::string, double>> figures(const at::Tensor& counts) const override {
    const auto share = [&](int64_t index) { return counts[index].item<double>() / counts[0].item<double>(); };
    return {{"top1", share(1)}, {"top5", share(2)}};
  }
};

}  // namespace

std::unique_ptr<Task> make_classification() { return std::make_unique<Classification>(); }

}  // namespace acm::nn
