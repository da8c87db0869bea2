#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace acm::train {
namespace {

constexpr double kFirstDecay = 0.9, kSecondDecay = 0.999, kEpsilon = 1e-8;  // method.md 6
constexpr double kClipEpsilon = 1e-6;                                       // golden/README.md 6

// float64 scalar on the device where the gradients are.
at::Tensor norm_of(const std::vector<at::Tensor>& gradients, at::Device device) {
  if (gradients.empty()) return at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device));
  if (!device.is_cpu()) return at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)).to(at::kDouble));
  double sum = 0;
  for (const at::Tensor& gradient : gradients) sum += ordered_sum_of_squares(gradient);
  return at::scalar_tensor(std::sqrt(sum), at::kDouble);
}

}  // namespace

Optimizer::Optimizer(std::vector<ParameterGroup> groups) : groups_(std::move(groups)) {
  for (const ParameterGroup& group : groups_) {
    std::vector<Moments>& moments = moments_.emplace_back();
    for (const NamedParameter& parameter : group.parameters) {
      moments.push_back({at::zeros_like(parameter.tensor), at::zeros_like(parameter.tensor)});
    }
  }
}

std::vector<NamedParameter> Optimizer::named_parameters() const {
  std::vector<NamedParameter> all;
  for (const ParameterGroup& group : groups_) all.insert(all.end(), group.parameters.begin(), group.parameters.end());
  return all;
}

std::vector<at::Tensor> Optimizer::parameters() const {
  std::vector<at::Tensor> all;
  for (const NamedParameter& parameter : named_parameters()) all.push_back(parameter.tensor);
  return all;
}

at::Tensor Optimizer::gradient_norms() const {
  std::vector<at::Tensor> norms;
  for (const ParameterGroup& group : groups_) {
    std::vector<at::Tensor> gradients;
    for (const NamedParameter& parameter : group.parameters)
      if (parameter.tensor.grad().defined()) gradients.push_back(parameter.tensor.grad());
    const auto& all = group.parameters;
    norms.push_back(norm_of(gradients, all.empty() ? at::Device(at::kCPU) : all.front().tensor.device()));
  }
  return at::stack(norms);
}

void Optimizer::step(double learning_rate, const at::Tensor& norms, const at::Tensor& left_out) {
  TORCH_CHECK(norms.numel() == static_cast<int64_t>(groups_.size()), "one norm a parameter group is needed");
  const at::NoGradGuard no_grad;
  ++steps_;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const at::Tensor norm = norms[static_cast<int64_t>(g)];
    if (groups_[g].parameters.empty()) continue;
    if (norm.is_cpu()) {
      step_on_host(g, learning_rate, norm.item<double>());
    } else {
      step_on_device(g, learning_rate, norm, left_out);
    }
  }
}

// Every operation below rounds once per element (no fused multiply-add), so the bits depend neither on how a tensor is
// cut among threads nor on where a vector loop ends.
void Optimizer::step_on_host(size_t group, double learning_rate, double norm) {
  const double first_correction = 1 - std::pow(kFirstDecay, static_cast<double>(steps_));
  const double second_correction = std::sqrt(1 - std::pow(kSecondDecay, static_cast<double>(steps_)));
  const double scale = std::min(1.0, groups_[group].max_grad_norm / (norm + kClipEpsilon));
  for (size_t p = 0; p < groups_[group].parameters.size(); ++p) {
    at::Tensor parameter = groups_[group].parameters[p].tensor;
    const Moments& moments = moments_[group][p];
    const double weight_decay = groups_[group].parameters[p].weight_decay;
    const at::Tensor gradient = parameter.grad().defined() ? parameter.grad().mul(scale) : at::zeros_like(parameter);
    if (weight_decay != 0) parameter.mul_(1 - learning_rate * weight_decay);
    moments.first.mul_(kFirstDecay).add_(gradient.mul(1 - kFirstDecay));
    moments.second.mul_(kSecondDecay).add_(gradient.mul(gradient).mul_(1 - kSecondDecay));
    const at::Tensor root = moments.second.sqrt().div_(second_correction).add_(kEpsilon);
    parameter.sub_(moments.first.mul(learning_rate / first_correction).div_(root));
  }
}

void Optimizer::step_on_device(size_t group, double learning_rate, const at::Tensor& norm, const at::Tensor& left_out) {
  struct Lists {
    std::vector<at::Tensor> parameters, gradients, first, second, steps;
  };
  std::map<double, Lists> by_weight_decay;  // one call of the kernel has one
  const at::Tensor steps = at::full({}, static_cast<double>(steps_), norm.options().dtype(at::kFloat));
  for (size_t p = 0; p < groups_[group].parameters.size(); ++p) {
    const NamedParameter& parameter = groups_[group].parameters[p];
    Lists& lists = by_weight_decay[parameter.weight_decay];
    lists.parameters.push_back(parameter.tensor);
    lists.gradients.push_back(parameter.tensor.grad().defined() ? parameter.tensor.grad()
                                                                : at::zeros_like(parameter.tensor));
    lists.first.push_back(moments_[group][p].first);
    lists.second.push_back(moments_[group][p].second);
    lists.steps.push_back(steps);
  }
  const at::Tensor scale = (groups_[group].max_grad_norm / (norm + kClipEpsilon)).clamp_max(1);
  const auto stopped = left_out.defined() ? std::optional(left_out) : std::nullopt;
  for (auto& [weight_decay, lists] : by_weight_decay) {
    at::_foreach_mul_(lists.gradients, scale.to(lists.gradients.front().scalar_type()));  // else one kernel a tensor
    at::_fused_adamw_(lists.parameters, lists.gradients, lists.first, lists.second, /*max_exp_avg_sqs=*/{}, lists.steps,
                      learning_rate, kFirstDecay, kSecondDecay, weight_decay, kEpsilon, /*amsgrad=*/false,
                      /*maximize=*/false, /*grad_scale=*/std::nullopt, stopped);
    // Who keeps what it made of a parameter has to hear of the change, of which this operation does not tell.
    for (const at::Tensor& parameter : lists.parameters) parameter.unsafeGetTensorImpl()->bump_version();
  }
}

void Optimizer::visit_state(StateVisitor& visitor) {
  visitor.scalar("steps", steps_);
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (size_t p = 0; p < groups_[g].parameters.size(); ++p) {
      const std::string& name = groups_[g].parameters[p].name;
      visitor.tensor("first." + name, moments_[g][p].first);
      visitor.tensor("second." + name, moments_[g][p].second);
    }
  }
}

}  // namespace acm::train
