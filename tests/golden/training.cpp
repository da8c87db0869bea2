#include "golden/training.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <limits>

namespace golden {

namespace {

acm::train::LearningRate learning_rate_of(const acm::Json& config) {
  acm::train::LearningRate rate;
  rate.peak = config.at("lr_max").as_double();
  rate.floor = config.at("lr_min").as_double();
  rate.steps = config.at("total_steps").as_int();
  if (const acm::Json* warmup = config.find("warmup_steps")) rate.warmup_steps = warmup->as_int();
  return rate;
}

acm::train::Optimizer optimizer_of(const acm::Json& config, const acm::io::NamedTensors& parameters) {
  // The optimizer has no other moments' decay than these (method.md 6).
  EXPECT_EQ(config.at("beta1").as_double(), 0.9);
  EXPECT_EQ(config.at("beta2").as_double(), 0.999);
  EXPECT_EQ(config.at("epsilon").as_double(), 1e-8);

  acm::train::ParameterGroup group;
  const acm::Json& max_norm = config.at("max_grad_norm");
  group.max_grad_norm = max_norm.is_null() ? std::numeric_limits<double>::infinity() : max_norm.as_double();
  for (const auto& [name, tensor] : parameters) {
    group.parameters.push_back({name, tensor, config.at("weight_decay").as_double()});
  }
  return acm::train::Optimizer({group});
}

}  // namespace

Training::Training(const acm::Json& config, const acm::io::NamedTensors& parameters)
    : parameters_(parameters), learning_rate_(learning_rate_of(config)), optimizer_(optimizer_of(config, parameters)) {}

void Training::step(const at::Tensor& loss) {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
  loss.backward();
  const at::Tensor norms = optimizer_.gradient_norms();
  rates_.push_back(learning_rate_.at(static_cast<int64_t>(rates_.size())));
  losses_.push_back(loss.item<double>());
  norms_.push_back(norms.item<double>());
  optimizer_.step(rates_.back(), norms);
}

at::Tensor Training::losses() const { return at::tensor(losses_, at::kDouble); }
at::Tensor Training::gradient_norms() const { return at::tensor(norms_, at::kDouble); }
at::Tensor Training::learning_rates() const { return at::tensor(rates_, at::kDouble); }

}  // namespace golden
