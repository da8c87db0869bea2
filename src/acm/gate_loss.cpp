#include "acm/gate_loss.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/quotient.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/product.h"
#include "nn/kernels/vector_math.h"

namespace acm {
namespace {

constexpr int64_t kRowsAtOnce = 256;

// A linear layer of a gate: pointers to its weight [out, in] and bias, and how many numbers stand before their
// gradients.
struct Layer {
  int64_t in, out;
  const float *weight, *bias;
  int64_t gradients;
};

// The numbers of a gate in plain memory.
class GateKernel {
 public:
  GateKernel(at::TensorList parameters, Activation activation) : gelu_(activation == Activation::kGelu) {
    for (size_t i = 0; i < parameters.size(); i += 2) {
      const auto &weight = parameters[i], &bias = parameters[i + 1];
      layers_.push_back(
          {weight.size(1), weight.size(0), weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), numbers_});
      numbers_ += weight.numel() + bias.numel();
    }
  }

  int64_t numbers() const { return numbers_; }

  // The loss of a block of rows, their best classes, and its gradients.
  double run(const float* tokens, const int64_t* classes, int64_t rows, int64_t* best, float* gradients) const {
    const Pass pass = forward(tokens, rows);
    const double loss = cross_entropy(pass.outputs.back(), pass.slopes.back(), classes, rows, layers_.back().out, best);
    backward(pass, rows, gradients);
    return loss;
  }

 private:
  // By layer: what it reads [rows, in] and gives [rows, out], and the activation's slopes there. The last has none.
  struct Pass {
    at::Tensor space;
    std::vector<const float*> inputs;
    std::vector<float*> outputs, slopes;
  };

  Pass forward(const float* tokens, int64_t rows) const {
    int64_t widths = 0;
    for (const auto& layer : layers_) widths += layer.out;
    Pass pass{at::empty({rows, 2 * widths}), {}, {}, {}};
    float* free = pass.space.mutable_data_ptr<float>();
    const float* input = tokens;
    for (const auto& layer : layers_) {
      float *output = free, *slopes = free + rows * layer.out;
      free = slopes + rows * layer.out;
      nn::multiply(rows, layer.out, layer.in, {input, layer.in}, {layer.weight, layer.in, true}, output, layer.out);
      if (gelu_ && &layer != &layers_.back())
        nn::add_bias_and_gelu_with_slopes(output, slopes, layer.bias, rows, layer.out);
      else
        nn::add_bias(output, layer.bias, rows, layer.out);
      pass.inputs.push_back(input);
      pass.outputs.push_back(output);
      pass.slopes.push_back(slopes);
      input = output;
    }
    return pass;
  }

  // From the gradients of the last outputs, in their place. Those of others take the place of what is then not needed.
  void backward(const Pass& pass, int64_t rows, float* gradients) const {
    for (size_t l = layers_.size(); l-- > 0;) {
      const auto& layer = layers_[l];
      const float* of_output = pass.outputs[l];
      float *of_weight = gradients + layer.gradients, *of_bias = of_weight + layer.out * layer.in;
      nn::multiply(layer.out, layer.in, rows, {of_output, layer.out, true}, {pass.inputs[l], layer.in}, of_weight,
                   layer.in);
      std::fill_n(of_bias, layer.out, 0.0F);
      nn::add_column_sums(of_bias, of_output, rows, layer.out, layer.out);
      if (l == 0) break;
      float* of_input = pass.outputs[l - 1];
      nn::multiply(rows, layer.in, layer.out, {of_output, layer.out}, {layer.weight, layer.in}, of_input, layer.in);
      if (gelu_) nn::multiply_elements(of_input, pass.slopes[l - 1], rows * layer.in);
    }
  }

  // Turns logits [rows, classes] into the gradients with respect to them.
  static double cross_entropy(float* logits, float* scratch, const int64_t* wanted, int64_t rows, int64_t classes,
                              int64_t* best) {
    for (int64_t row = 0; row < rows; ++row) {
      float* of_row = logits + row * classes;
      best[row] = largest(of_row, classes);
      const float most = of_row[best[row]];
      for (int64_t i = 0; i < classes; ++i) of_row[i] -= most;
    }
    std::copy_n(logits, rows * classes, scratch);
    float sum_of_all = 0;
    nn::exponentials(scratch, &sum_of_all, 1, 1, rows * classes, rows * classes);
    double loss = 0;
    for (int64_t row = 0; row < rows; ++row) {
      float *of_row = logits + row * classes, *powers = scratch + row * classes;
      const float sum = std::accumulate(powers, powers + classes, 0.0F);
      loss += std::log(sum) - of_row[wanted[row]];
      for (int64_t i = 0; i < classes; ++i) of_row[i] = powers[i] / sum;
      of_row[wanted[row]] -= 1;
    }
    return loss;
  }

  std::vector<Layer> layers_;
  int64_t numbers_ = 0;
  bool gelu_;
};

// Value and gradients come from one pass over the rows, because a gradient of the loss is but a factor.
struct GateLossByKernel : torch::autograd::Function<GateLossByKernel> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, at::TensorList parameters,
                            const at::Tensor& tokens, const at::Tensor& classes, int64_t activation,
                            const at::Tensor& best) {
    const GateKernel gate(parameters, static_cast<Activation>(activation));
    const int64_t rows = tokens.size(0), blocks = quotient_up(rows, kRowsAtOnce);
    const at::Tensor gradients = at::empty({blocks, gate.numbers()});
    std::vector<double> losses(static_cast<size_t>(blocks));
    nn::share_rows_among_threads(rows, kRowsAtOnce, [&](int64_t first, int64_t count) {
      const int64_t block = first / kRowsAtOnce;
      const at::Tensor widened = tokens.narrow(0, first, count).to(at::kFloat);
      losses[static_cast<size_t>(block)] = gate.run(
          widened.const_data_ptr<float>(), classes.const_data_ptr<int64_t>() + first, count,
          best.mutable_data_ptr<int64_t>() + first, gradients.mutable_data_ptr<float>() + block * gate.numbers());
    });
    at::Tensor sum = gradients.select(0, 0);
    for (int64_t block = 1; block < blocks; ++block) sum.add_(gradients.select(0, block));
    std::vector<at::Tensor> of_parameters;
    int64_t taken = 0;
    for (const auto& parameter : parameters) {
      of_parameters.push_back(sum.narrow(0, taken, parameter.numel()).view(parameter.sizes()));
      taken += parameter.numel();
    }
    context->save_for_backward(std::move(of_parameters));
    return at::scalar_tensor(std::accumulate(losses.begin(), losses.end(), 0.0), at::kDouble);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    torch::autograd::variable_list all;
    for (const auto& of_parameter : context->get_saved_variables()) all.push_back(of_parameter * gradients[0]);
    all.resize(all.size() + 4);
    return all;
  }
};

bool kernel_applies(at::TensorList parameters, const at::Tensor& tokens) {
  const auto type = tokens.scalar_type();
  return std::ranges::all_of(parameters, [](const auto& parameter) { return nn::kernels_fit({parameter}); }) &&
         tokens.is_cpu() && tokens.size(0) > 0 && (type == at::kFloat || type == at::kHalf || type == at::kBFloat16);
}

}  // namespace

GateLoss gate_loss(const Gate& gate, const at::Tensor& tokens, const at::Tensor& classes) {
  const auto parameters = gate.layer_parameters();
  if (kernel_applies(parameters, tokens)) {
    const at::Tensor best = at::empty_like(classes);
    const auto activation = static_cast<int64_t>(gate.config().activation);
    return {GateLossByKernel::apply(at::TensorList(parameters), tokens, classes.contiguous(), activation, best), best};
  }
  const at::Tensor logits = gate.forward(tokens.to(parameters.front().scalar_type()));
  return {at::cross_entropy_loss(logits, classes, {}, at::Reduction::Sum), best_class(logits.detach())};
}

}  // namespace acm
