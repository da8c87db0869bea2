#include <gtest/gtest.h>

#include "acm/distillation_loss.h"
#include "golden/gradients.h"
#include "golden/kinds.h"
#include "golden/modules.h"
#include "golden/tokens.h"
#include "golden/training.h"

namespace golden {

namespace {

// Mean over learners, valid tokens and elements of the squared error, for the batch of one step.
at::Tensor loss_of(const Case& golden, const acm::AcmLayer& layer, const at::Tensor& input, const at::Tensor& teacher) {
  const at::Tensor valid = valid_tokens(golden, input.size(1));
  const at::Tensor rows = rows_of(input, valid);
  const double scale = 1.0 / static_cast<double>(layer.shape().learners * rows.numel());
  const auto objective = acm::objective_from(golden.config().at("objective").as_string());
  return acm::distillation_loss(layer, rows, rows_of(teacher, valid), objective, scale);
}

std::string after(int64_t steps) { return "after_" + std::to_string(steps) + (steps == 1 ? "_step." : "_steps."); }

// Trains one site, a batch a step; its tensors carry `prefix`.
void train_site(Case& golden, const std::string& prefix) {
  const auto layer = load_layer(golden, prefix);
  const acm::io::NamedTensors learners = parameters(*layer);
  const at::Tensor input = golden.tensor(prefix + "input"), teacher = golden.tensor(prefix + "teacher_output");

  if (golden.has(prefix + "loss")) {
    const at::Tensor loss = loss_of(golden, *layer, input[0], teacher[0]);
    golden.expect(prefix + "loss", loss);
    golden.expect_all(prefix + "grad.", gradients(loss, learners));
  }

  Training training(golden.config(), learners);
  for (int64_t step = 0; step < input.size(0); ++step) {
    training.step(loss_of(golden, *layer, input[step], teacher[step]));
    const std::string name = prefix + after(step + 1);
    if (golden.has(name + "w1")) golden.expect_all(name, learners);
  }
  golden.expect(prefix + "step_loss", training.losses());
  golden.expect(prefix + "step_grad_norm", training.gradient_norms());
  golden.expect("step_lr", training.learning_rates());
}

}  // namespace

void test_phase1(Case& golden) { train_site(golden, ""); }

void test_phase1_sites(Case& golden) {
  for (int64_t site = 0; site < golden.config().at("sites").as_int(); ++site) {
    SCOPED_TRACE("site " + std::to_string(site));
    train_site(golden, "site" + std::to_string(site) + ".");
  }
}

}  // namespace golden
