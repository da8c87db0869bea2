#include "acm/gate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#ifdef ACM_WITH_CUDA
#include "acm/mixed_on_gpu.h"
#endif
#include "core/error.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"
#include "nn/random_tensor.h"

namespace acm {
namespace {

// In place where that is possible: the values are nobody else's.
at::Tensor activated(Activation activation, at::Tensor values) {
  if (activation != Activation::kGelu || !nn::kernels_apply({values})) return acm::apply(activation, values);
  nn::gelu(values.mutable_data_ptr<float>(), values.numel());
  return values;
}

}  // namespace

Json GateConfig::description() const {
  return Json::object(
      {{"hidden", hidden}, {"depth", depth}, {"activation", to_string(activation)}, {"temperature", temperature}});
}

GateConfig GateConfig::from(const Json& description) {
  GateConfig config{description.at("hidden").as_int(), description.at("depth").as_int(),
                    activation_from(description.at("activation").as_string()),
                    description.at("temperature").as_double()};
  if (config.hidden < 1 || config.depth < 1 || !(config.temperature > 0)) {
    throw Error(Fault::kData,
                "cannot build the gates that a model file describes: hidden and depth must be at least 1 "
                "and temperature positive, got " +
                    description.dump());
  }
  return config;
}

Gate::Gate(int64_t width, int64_t allowed, const GateConfig& config) : config_(config) {
  TORCH_CHECK(width > 0 && allowed > 0 && config.hidden > 0 && config.depth > 0, "a gate of impossible sizes");
  for (int64_t layer = 0; layer < config.depth; ++layer) {
    const int64_t in = layer == 0 ? width : config.hidden;
    const int64_t out = layer + 1 == config.depth ? allowed : config.hidden;
    auto linear = register_module(std::to_string(layer), std::make_shared<torch::nn::Module>());
    weights_.push_back(linear->register_parameter("weight", at::zeros({out, in})));
    biases_.push_back(linear->register_parameter("bias", at::zeros({out})));
  }
}

bool Gate::kernel_applies(const at::Tensor& tokens) const {
  return config_.depth == 2 && nn::few_outputs(config_.hidden, weights_[0].size(1)) &&
         nn::kernels_apply({tokens, weights_[0], biases_[0], weights_[1], biases_[1]});
}

// The second layer's columns are filled up to whole vectors: a few of them would take longer than all.
at::Tensor Gate::by_kernel(const at::Tensor& tokens, int64_t least, int64_t* choice) const {
  constexpr int64_t kRowsAtOnce = 256;
  const int64_t width = weights_[0].size(1), hidden = config_.hidden, classes = weights_[1].size(0);
  const int64_t columns = nn::whole_vectors(classes);
  auto shape = tokens.sizes().vec();
  shape.back() = classes;
  at::Tensor logits = at::empty(shape, tokens.options());
  const float *from = tokens.const_data_ptr<float>(), *w1 = weights_[0].const_data_ptr<float>(),
              *b1 = biases_[0].const_data_ptr<float>();
  float* to = logits.mutable_data_ptr<float>();
  std::vector<float> w2(static_cast<size_t>(hidden * columns)), b2(static_cast<size_t>(columns));  // w2 transposed
  nn::transpose(classes, hidden, weights_[1].const_data_ptr<float>(), hidden, w2.data(), columns);
  std::copy_n(biases_[1].const_data_ptr<float>(), classes, b2.data());
  nn::share_rows_among_threads(tokens.numel() / width, kRowsAtOnce, [&](int64_t first, int64_t rows) {
    const auto space = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(rows * (hidden + columns)));
    float *units = space.get(), *filled = units + rows * hidden;
    nn::multiply_to_few(rows, hidden, width, from + first * width, w1, b1, units);
    if (config_.activation == Activation::kGelu) nn::gelu(units, rows * hidden);
    nn::multiply_rows(rows, columns, hidden, {units, hidden}, w2.data(), columns, b2.data(), {filled, columns});
    for (int64_t row = 0; row < rows; ++row, filled += columns) {
      std::copy_n(filled, classes, to + (first + row) * classes);
      if (choice != nullptr) choice[first + row] = least + largest(filled, classes);
    }
  });
  return logits;
}

Gate::Decision Gate::decide(const at::Tensor& tokens, int64_t least) const {
#ifdef ACM_WITH_CUDA
  if (mixes_on_gpu(tokens, *this) && !at::GradMode::is_enabled())
    return run_gate_on_gpu(tokens, *this, least, for_gpu_);
#endif
  if (!kernel_applies(tokens)) {
    const at::Tensor logits = forward(tokens).to(weights_[0].scalar_type());  // autocast gives others
    return {logits, best_class(logits, least)};
  }
  at::Tensor choice = at::empty(tokens.sizes().slice(0, tokens.dim() - 1), tokens.options().dtype(at::kLong));
  return {by_kernel(tokens, least, choice.mutable_data_ptr<int64_t>()), choice};
}

at::Tensor Gate::forward(const at::Tensor& tokens) const {
  if (kernel_applies(tokens)) return by_kernel(tokens, 0, nullptr);
  at::Tensor values = nn::linear(tokens, weights_[0], biases_[0]);
  for (size_t layer = 1; layer < weights_.size(); ++layer) {
    values = nn::linear(activated(config_.activation, std::move(values)), weights_[layer], biases_[layer]);
  }
  return values;
}

std::vector<at::Tensor> Gate::layer_parameters() const {
  std::vector<at::Tensor> parameters;
  for (size_t layer = 0; layer < weights_.size(); ++layer) {
    parameters.push_back(weights_[layer]);
    parameters.push_back(biases_[layer]);
  }
  return parameters;
}

at::Tensor Gate::second_layer() const { return at::cat({weights_[1], biases_[1].unsqueeze(1)}, 1); }

int64_t Gate::macs_per_token() const {
  int64_t macs = 0;
  for (const at::Tensor& weight : weights_) macs += weight.numel();
  return macs;
}

void Gate::initialise(StreamKey key) {
  const at::NoGradGuard no_grad;
  for (size_t layer = 0; layer < weights_.size(); ++layer) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(weights_[layer].size(1)));
    const StreamKey layer_key = key.with(layer);
    nn::fill_uniform(weights_[layer], layer_key.with("weight"), -bound, bound);
    nn::fill_uniform(biases_[layer], layer_key.with("bias"), -bound, bound);
  }
}

}  // namespace acm
