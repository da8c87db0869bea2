#include "train/step_numbers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>

namespace acm::train {

void StepNumbers::take(int64_t step, int64_t updates, const at::Tensor& loss, const at::Tensor& norms,
                       comm::Communicator& group) {
  const at::NoGradGuard no_grad;
  norms_ = norms;
  const auto number = [&](int64_t value) { return at::full({1}, static_cast<double>(value), norms.options()); };
  const at::Tensor now = at::cat({number(step), number(updates), loss.reshape({1}).to(at::kDouble), norms});
  if (now.is_cpu()) {
    kept_ = now;
    return;
  }
  const at::Tensor bad = now.isfinite().all().logical_not().to(at::kFloat);
  group.all_reduce(bad, comm::ReduceOp::kMax)->wait();
  kept_ = stopped_.defined() ? at::where(stopped_.gt(0), kept_, now) : now;
  stopped_ = stopped_.defined() ? at::maximum(stopped_, bad) : bad;
}

StepNumbers::Values StepNumbers::read() const {
  TORCH_CHECK(kept_.defined(), "no numbers were taken");
  const at::Tensor here = kept_.cpu();
  const double* value = here.const_data_ptr<double>();
  Values values{.step = static_cast<int64_t>(value[0]),
                .updates = static_cast<int64_t>(value[1]),
                .loss = value[2],
                .norms = {value + 3, value + here.numel()}};
  values.finite = stopped_.defined() ? stopped_.item<double>() == 0 : here.isfinite().all().item<bool>();
  return values;
}

}  // namespace acm::train
