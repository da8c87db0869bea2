#include "train/state_visitors.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/ScalarType.h>

#include <functional>

#include "core/error.h"

namespace acm::train {
namespace {

class Collector final : public StateVisitor {
 public:
  explicit Collector(State& state) : state_(state) {}
  void enter(std::string_view part) { prefix_ = std::string(part) + "."; }
  void tensor(std::string_view name, at::Tensor& value) override {
    const std::string key = prefix_ + std::string(name);
    TORCH_CHECK(state_.tensors.emplace(key, value.detach()).second, "two tensors of the state are called ", key);
  }
  void scalar(std::string_view name, int64_t& value) override {
    const std::string key = prefix_ + std::string(name);
    TORCH_CHECK(state_.scalars.emplace(key, value).second, "two scalars of the state are called ", key);
  }

 private:
  State& state_;
  std::string prefix_;
};

class Restorer final : public StateVisitor {
 public:
  explicit Restorer(const State& saved) : saved_(saved) {}
  void enter(std::string_view part) { prefix_ = std::string(part) + "."; }
  void tensor(std::string_view name, at::Tensor& value) override {
    value.copy_(saved_.tensors.at(prefix_ + std::string(name)));
  }
  void scalar(std::string_view name, int64_t& value) override {
    value = saved_.scalars.at(prefix_ + std::string(name));
  }

 private:
  const State& saved_;
  std::string prefix_;
};

template <typename Visitor>
void visit(const Parts& parts, Visitor visitor) {
  for (const auto& [name, part] : parts) {
    visitor.enter(name);
    part->visit_state(visitor);
  }
}

template <typename Map>
void expect_same_names(const Map& saved, const Map& needed, const std::function<void(const std::string&)>& fail) {
  for (const auto& [name, value] : needed) {
    if (!saved.contains(name)) fail("it lacks " + name);
  }
  for (const auto& [name, value] : saved) {
    if (!needed.contains(name)) fail("it holds " + name + ", which has no place here");
  }
}

}  // namespace

std::string shape_text(at::IntArrayRef shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

std::string dtype_name(const at::Tensor& tensor) { return c10::toString(tensor.scalar_type()); }

State state_of(const Parts& parts) {
  State state;
  visit(parts, Collector(state));
  return state;
}

void restore(const Parts& parts, const State& saved, const std::string& where) {
  const auto fail = [&](const std::string& difference) {
    throw Error(Fault::kUsage, "cannot resume from the checkpoint " + where + ": " + difference +
                                   "; the configuration was changed since it was written: restore it, or remove the "
                                   "phase's checkpoints to train it anew");
  };
  const State needed = state_of(parts);
  expect_same_names(saved.tensors, needed.tensors, fail);
  expect_same_names(saved.scalars, needed.scalars, fail);
  for (const auto& [name, tensor] : needed.tensors) {
    const at::Tensor& other = saved.tensors.at(name);
    if (other.sizes() != tensor.sizes() || other.dtype() != tensor.dtype()) {
      fail(name + " is " + dtype_name(other) + " " + shape_text(other.sizes()) + " in it and " + dtype_name(tensor) +
           " " + shape_text(tensor.sizes()) + " here");
    }
  }
  const at::NoGradGuard no_grad;
  visit(parts, Restorer(saved));
}

}  // namespace acm::train
