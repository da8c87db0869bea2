#include "phases/frozen_teacher.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>

#include "phases/model_fit.h"

namespace acm::phases {

FrozenTeacher::FrozenTeacher(const Run& run) : model_(load_teacher(run)) {
  check_fits(model_, teacher_model(run.settings, run.folder), run.train_data);
  model_.backbone->to(run.device, run.settings.dtype());
  model_.backbone->eval();
  int64_t bytes = 0;
  for (auto& parameter : model_.backbone->parameters()) {
    parameter.set_requires_grad(false);
    bytes += static_cast<int64_t>(parameter.nbytes());
  }
  if (run.is_root())
    run.log.info("the teacher's outputs are part of the loss: " + std::to_string(bytes / 1'000'000) +
                 " MB more on each rank, and a third more work a step");
}

at::Tensor FrozenTeacher::divergence(const at::Tensor& outputs, const data::Batch& batch) {
  at::Tensor wanted;
  {
    const at::NoGradGuard no_grad;
    nn::TokenContext context;
    context.positions = batch.positions;
    wanted = model_.backbone->forward(batch, context).to(outputs.scalar_type()).log_softmax(-1);
  }
  return (wanted.exp() * (wanted - outputs.log_softmax(-1))).sum(-1);
}

}  // namespace acm::phases
