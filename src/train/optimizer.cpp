#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

namespace acm::train {
namespace {

constexpr double kFirstDecay = 0.9, kSecondDecay = 0.999, kEpsilon = 1e-8;  // method.md 6
constexpr double kClipEpsilon = 1e-6;                                       // golden/README.md 6

double clip_scale(double norm, double max_norm) { return std::min(1.0, max_norm / (norm + kClipEpsilon)); }

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

std::vector<double> Optimizer::gradient_norms() const {
  std::vector<double> norms;
  for (const ParameterGroup& group : groups_) {
    double sum = 0;
    for (const NamedParameter& parameter : group.parameters) {
      if (parameter.tensor.grad().defined()) sum += ordered_sum_of_squares(parameter.tensor.grad());
    }
    norms.push_back(std::sqrt(sum));
  }
  return norms;
}

// Every operation below rounds once per element (no fused multiply-add), so the bits depend neither on how a tensor is
// cut among threads nor on where a vector loop ends.
void Optimizer::step(double learning_rate, const std::vector<double>& norms) {
  TORCH_CHECK(norms.size() == groups_.size(), "one norm a parameter group is needed");
  const at::NoGradGuard no_grad;
  ++steps_;
  const double first_correction = 1 - std::pow(kFirstDecay, static_cast<double>(steps_));
  const double second_correction = std::sqrt(1 - std::pow(kSecondDecay, static_cast<double>(steps_)));
  for (size_t g = 0; g < groups_.size(); ++g) {
    const double scale = clip_scale(norms[g], groups_[g].max_grad_norm);
    for (size_t p = 0; p < groups_[g].parameters.size(); ++p) {
      at::Tensor parameter = groups_[g].parameters[p].tensor;
      const Moments& moments = moments_[g][p];
      const double weight_decay = groups_[g].parameters[p].weight_decay;
      const at::Tensor gradient = parameter.grad().defined() ? parameter.grad().mul(scale) : at::zeros_like(parameter);
      if (weight_decay != 0) parameter.mul_(1 - learning_rate * weight_decay);
      moments.first.mul_(kFirstDecay).add_(gradient.mul(1 - kFirstDecay));
      moments.second.mul_(kSecondDecay).add_(gradient.mul(gradient).mul_(1 - kSecondDecay));
      const at::Tensor root = moments.second.sqrt().div_(second_correction).add_(kEpsilon);
      parameter.sub_(moments.first.mul(learning_rate / first_correction).div_(root));
    }
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
