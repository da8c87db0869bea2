#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "golden/kinds.h"
#include "golden/training.h"

namespace golden {

namespace {

// Takes an optimizer's first moments, in the order of its parameters.
class FirstMoments final : public acm::train::StateVisitor {
 public:
  void tensor(std::string_view name, at::Tensor& value) override {
    if (name.starts_with("first.")) found.push_back(value.clone());
  }
  void scalar(std::string_view, int64_t&) override {}
  std::vector<at::Tensor> found;
};

}  // namespace

void test_optimizer(Case& golden) {
  const acm::Json& config = golden.config();
  const at::Tensor matrix = golden.tensor("matrix").requires_grad_(), vector = golden.tensor("vector").requires_grad_();
  const at::Tensor quadratic = golden.tensor("quadratic"), linear = golden.tensor("linear");
  const double scale = config.at("loss_scale").as_double();

  Training training(config, {{"matrix", matrix}, {"vector", vector}});
  std::vector<at::Tensor> matrices, vectors;
  for (int64_t step = 0; step < config.at("steps").as_int(); ++step) {
    const at::Tensor x = at::cat({matrix.flatten(), vector});
    training.step(scale * (x.dot(quadratic.mv(x)) / 2 - linear.dot(x)));
    matrices.push_back(matrix.detach().clone());
    vectors.push_back(vector.detach().clone());
  }
  golden.expect("step_matrix", at::stack(matrices));
  golden.expect("step_vector", at::stack(vectors));
  golden.expect("step_loss", training.losses());
  golden.expect("step_grad_norm", training.gradient_norms());
  golden.expect("step_lr", training.learning_rates());
}

void test_schedule(Case& golden) {
  const acm::Json& json = golden.json();
  const double relative = json.at("tolerance").at("relative").as_double();
  for (const acm::Json& run : json.at("runs").as_array()) {
    acm::train::LearningRate rate;
    rate.peak = run.at("lr_max").as_double();
    rate.floor = json.at("lr_min").as_double();
    rate.steps = run.at("total_steps").as_int();
    rate.warmup_steps = run.at("warmup_steps").as_int();
    SCOPED_TRACE("a run of " + std::to_string(rate.steps) + " steps, " + std::to_string(rate.warmup_steps) +
                 " warming up");
    const acm::Json::Array& expected = run.at("lr").as_array();
    ASSERT_EQ(static_cast<int64_t>(expected.size()), rate.steps);
    for (int64_t step = 0; step < rate.steps; ++step) {
      EXPECT_NEAR(rate.at(step), expected[step].as_double(), relative * expected[step].as_double())
          << "at step " << step;
    }
  }
}

// Clipped gradients are seen in the first moments after one step from zero: 0.1 of them.
void test_clip(Case& golden) {
  for (const std::string set : {"large", "small", "zero"}) {
    SCOPED_TRACE(set);
    acm::train::ParameterGroup group;
    group.max_grad_norm = golden.config().at("max_grad_norm").as_double();
    for (const std::string name : {"a", "b"}) {
      const at::Tensor gradient = golden.tensor(set + "." + name);
      at::Tensor parameter = gradient.clone().requires_grad_();
      parameter.mutable_grad() = gradient;
      group.parameters.push_back({name, parameter});
    }
    acm::train::Optimizer optimizer({group});
    const at::Tensor norms = optimizer.gradient_norms();
    golden.expect(set + ".norm", norms[0]);
    optimizer.step(1e-3, norms);
    FirstMoments moments;
    optimizer.visit_state(moments);
    ASSERT_EQ(moments.found.size(), 2u);
    golden.expect(set + ".clipped.a", moments.found[0] / (1 - 0.9));
    golden.expect(set + ".clipped.b", moments.found[1] / (1 - 0.9));
  }
}

}  // namespace golden
