#include "train/optimizer.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "unit/train/toy_phase.h"

namespace acm::train {
namespace {

// A parameter whose gradient is set by hand.
NamedParameter parameter_of(const std::string& name, const at::Tensor& value, double weight_decay = 0) {
  return {name, value.clone().set_requires_grad(true), weight_decay};
}
void set_gradient(const NamedParameter& parameter, const at::Tensor& gradient) {
  at::Tensor tensor = parameter.tensor;
  tensor.mutable_grad() = gradient.clone();
}
bool same_bits(const at::Tensor& a, const at::Tensor& b) { return a.detach().equal(b.detach()); }

// Adam written once more, a number at a time.
struct ReferenceAdam {
  double value, weight_decay, first = 0, second = 0;
  int steps = 0;
  void step(double rate, double gradient) {
    ++steps;
    value *= 1 - rate * weight_decay;
    first = 0.9 * first + 0.1 * gradient;
    second = 0.999 * second + 0.001 * gradient * gradient;
    const double mean = first / (1 - std::pow(0.9, steps)), variance = second / (1 - std::pow(0.999, steps));
    value -= rate * mean / (std::sqrt(variance) + 1e-8);
  }
};

TEST(Optimizer, FollowsAdamWithDecoupledWeightDecayAndClipping) {
  const StreamKey key(11);
  const auto matrix = parameter_of("matrix", normal_tensor(key.with("matrix"), {2, 3}), 0.1);
  const auto vector = parameter_of("vector", normal_tensor(key.with("vector"), {3}));
  std::vector<ReferenceAdam> reference;
  for (const NamedParameter& parameter : {matrix, vector}) {
    const double* values = parameter.tensor.const_data_ptr<double>();
    for (int64_t i = 0; i < parameter.tensor.numel(); ++i) {
      reference.push_back({.value = values[i], .weight_decay = parameter.weight_decay});
    }
  }
  Optimizer optimizer({{.parameters = {matrix, vector}, .max_grad_norm = 1.5}});
  for (uint64_t step = 0; step < 5; ++step) {
    const double rate = 0.05 / static_cast<double>(step + 1), size = step == 2 ? 0.1 : 3;  // step 2 is not clipped
    const at::Tensor gradient = normal_tensor(key.with(step), {9}).mul(size);
    set_gradient(matrix, gradient.slice(0, 0, 6).view({2, 3}));
    set_gradient(vector, gradient.slice(0, 6, 9));
    const double norm = std::sqrt(gradient.mul(gradient).sum().item<double>());
    const at::Tensor norms = optimizer.gradient_norms();
    ASSERT_EQ(norms.numel(), 1);
    EXPECT_NEAR(norms.item<double>(), norm, 1e-13 * norm);
    optimizer.step(rate, norms);
    const double* each = gradient.const_data_ptr<double>();
    for (size_t i = 0; i < reference.size(); ++i) {
      reference[i].step(rate, each[i] * std::min(1.0, 1.5 / (norm + 1e-6)));
      const double found =
          i < 6 ? matrix.tensor.const_data_ptr<double>()[i] : vector.tensor.const_data_ptr<double>()[i - 6];
      EXPECT_NEAR(found, reference[i].value, 1e-12) << "number " << i << " of step " << step;
    }
  }
}

TEST(Optimizer, ClipsEachGroupOnItsOwn) {
  const at::Tensor zeros = at::empty({2}, at::kDouble).zero_();
  const auto large = parameter_of("large", zeros), small = parameter_of("small", zeros);
  Optimizer optimizer({{.parameters = {large}}, {.parameters = {small}}});
  set_gradient(large, zeros.add(300));
  set_gradient(small, zeros.add(0.1));
  const at::Tensor norms = optimizer.gradient_norms();
  EXPECT_NEAR(norms[0].item<double>(), 300 * std::sqrt(2.0), 1e-10);
  EXPECT_NEAR(norms[1].item<double>(), 0.1 * std::sqrt(2.0), 1e-15);
}

TEST(Optimizer, CountsAMissingGradientAsZero) {
  const auto parameter = parameter_of("lonely", normal_tensor(StreamKey(4), {3}));
  const at::Tensor before = parameter.tensor.detach().clone();
  Optimizer optimizer({{.parameters = {parameter}}});
  EXPECT_EQ(optimizer.gradient_norms().item<double>(), 0);
  optimizer.step(0.1, optimizer.gradient_norms());
  EXPECT_TRUE(same_bits(parameter.tensor, before));
}

TEST(Optimizer, GivesTheSameBitsAtAnyThreadCount) {
  const int before = at::get_num_threads();
  const StreamKey key(21);
  const int64_t count = 100003;  // more than one thread's share, and not a whole number of vectors
  std::vector<at::Tensor> results;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    const auto parameter = parameter_of("p", normal_tensor(key.with("p"), {count}).to(at::kFloat), 0.05);
    Optimizer optimizer({{.parameters = {parameter}}});
    for (uint64_t step = 0; step < 3; ++step) {
      set_gradient(parameter, normal_tensor(key.with(step), {count}).to(at::kFloat));
      optimizer.step(0.01, optimizer.gradient_norms());
    }
    results.push_back(parameter.tensor);
  }
  at::set_num_threads(before);
  EXPECT_TRUE(same_bits(results[0], results[1]));
  EXPECT_TRUE(same_bits(results[0], results[2]));
}

}  // namespace
}  // namespace acm::train
