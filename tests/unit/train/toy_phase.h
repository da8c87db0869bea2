#pragma once

#include <ATen/ops/empty.h>

#include <cmath>
#include <functional>
#include <string>

#include "core/random.h"
#include "train/phase.h"

namespace acm::train {

// float64 numbers of a stream, standard normal.
inline at::Tensor normal_tensor(StreamKey key, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, at::kDouble);
  double* values = tensor.mutable_data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = random_normal(key, static_cast<uint64_t>(i));
  return tensor;
}

// A network with one hidden layer of four, fitted in float64 to a function of three numbers; eight samples a step, each
// a function of (step, position in the batch). Tests hook into `before_loss` to disturb it.
class ToyPhase final : public Phase {
 public:
  static constexpr int64_t kBatch = 8;

  explicit ToyPhase(int64_t steps = 12, at::Device device = at::kCPU) : steps_(steps) {
    const StreamKey key = StreamKey(3).with("toy");
    hidden = normal_tensor(key.with("hidden"), {3, 4}).to(device).set_requires_grad(true);
    output = normal_tensor(key.with("output"), {4}).to(device).set_requires_grad(true);
  }

  std::string_view name() const override { return "finetune"; }
  std::string_view site() const override { return site_name; }
  int64_t steps() const override { return steps_; }
  std::string_view unit() const override { return "samples"; }
  int64_t items_per_step() const override { return kBatch; }
  std::vector<ParameterGroup> parameter_groups() override {
    return {{.parameters = {{"hidden", hidden, 0.01}}, .max_grad_norm = 0.5}, {.parameters = {{"output", output, 0}}}};
  }

  at::Tensor loss(const data::Slice& slice, Metrics& metrics) override {
    at::Tensor scale = at::empty({}, at::kDouble).fill_(before_loss ? before_loss(slice) : 1.0);
    const int64_t begin = kBatch * slice.index / slice.count, end = kBatch * (slice.index + 1) / slice.count;
    const at::Tensor samples = normal_tensor(StreamKey(5).with(static_cast<uint64_t>(slice.step)), {kBatch, 3})
                                   .slice(0, begin, end)
                                   .to(hidden.device(), at::kDouble, /*non_blocking=*/true);
    const at::Tensor difference = samples.matmul(hidden).tanh().mv(output).sub(samples.sum(1).sin());
    const at::Tensor loss = difference.mul(difference).sum().div(kBatch).mul(scale);
    metrics.add("loss", loss);
    metrics.add("samples", static_cast<double>(end - begin));
    return loss;
  }
  void evaluate(int64_t step, Metrics& metrics) override { metrics.add("held_out", static_cast<double>(step)); }
  std::optional<data::FetchFigures> take_fetch_figures() override { return fetch_figures; }
  void finish() override { ++finished; }
  void visit_state(StateVisitor& visitor) override {
    visitor.tensor("hidden", hidden);
    visitor.tensor("output", output);
  }

  at::Tensor hidden, output;
  std::function<double(const data::Slice&)> before_loss;  // gives what the loss is multiplied with
  std::string site_name;
  std::optional<data::FetchFigures> fetch_figures;  // of each step
  int finished = 0;

 private:
  int64_t steps_;
};

// The largest difference between the parameters of two toys.
inline double distance(const ToyPhase& a, const ToyPhase& b) {
  const auto of = [](const at::Tensor& x, const at::Tensor& y) {
    return x.cpu().sub(y.cpu()).abs().max().item<double>();
  };
  return std::max(of(a.hidden, b.hidden), of(a.output, b.output));
}

}  // namespace acm::train
