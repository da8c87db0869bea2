#include "acm/mixed_on_gpu.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "acm/cuda/mixed_rows.h"
#include "acm/gated_on_gpu.h"
#include "core/quotient.h"
#include "nn/autocast.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Parameters of the site in the order in which the function below takes them.
struct SiteWeights {
  at::Tensor w1, b1, w2, b2, gate_w1, gate_b1, gate_w2, gate_b2;
};

SiteWeights weights_of(const LearnerWeights& learners, const Gate& gate) {
  const auto layers = gate.layer_parameters();
  return {learners.w1, learners.b1, learners.w2, learners.b2, layers[0], layers[1], layers[2], layers[3]};
}

MixedShape shape_of(at::ScalarType type, const LearnerWeights& learners, const Gate& gate, int64_t min_k) {
  return {.type = type,
          .width = learners.w1.size(0),
          .learners = learners.learners,
          .learner_width = learners.w2.size(0) / learners.learners,
          .gelu = learners.activation == Activation::kGelu,
          .gate_hidden = gate.config().hidden,
          .min_k = min_k,
          .gate_gelu = gate.config().activation == Activation::kGelu};
}

const float* numbers(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr; }

// The matrices of the two products.
struct Packed {
  at::Tensor w1, b1, w2;
};

Packed pack(const MixedShape& shape, const SiteWeights& from) {
  const auto as = from.w1.options().dtype(shape.type);
  Packed to{at::empty({shape.width, shape.columns()}, as), at::empty({shape.columns()}, as),
            at::empty({shape.columns(), shape.width}, as)};
  const MixedWeights weights{numbers(from.w1), numbers(from.b1),      numbers(from.w2),
                             numbers(from.b2), numbers(from.gate_w1), numbers(from.gate_b1)};
  nn::check_launch(pack_on_gpu(shape, weights, to.w1.mutable_data_ptr(), to.b1.mutable_data_ptr(),
                               to.w2.mutable_data_ptr(), nn::OnGpu(from.w1.device()).stream()),
                   "lay out the weights of a site");
  return to;
}

// Of each row. soft and mixture undefined without noise.
struct Decided {
  at::Tensor logits, soft, mixture, choice;
};

// hidden: the gate's hidden units before the activation, `stride` numbers from row to row.
Decided decide(const MixedShape& shape, const MixedGate& gate, const at::Tensor& hidden, int64_t stride) {
  const int64_t rows = hidden.size(0);
  const auto numbers = [&](bool wanted) {
    return wanted ? at::empty({rows, shape.allowed()}, hidden.options().dtype(at::kFloat)) : at::Tensor();
  };
  const auto pointer = [](const at::Tensor& to) { return to.defined() ? to.mutable_data_ptr<float>() : nullptr; };
  const bool noisy = gate.noise_keys != nullptr;
  Decided of{numbers(true), numbers(noisy), numbers(noisy), at::empty({rows}, hidden.options().dtype(at::kLong))};
  nn::check_launch(
      decide_on_gpu(shape, gate, hidden.const_data_ptr(), stride, rows, pointer(of.logits), pointer(of.soft),
                    pointer(of.mixture), of.choice.mutable_data_ptr<int64_t>(), nn::OnGpu(hidden.device()).stream()),
      "choose learners");
  return of;
}

at::Tensor gate_part(const MixedShape& shape, const at::Tensor& rows) {
  return rows.narrow(1, shape.hidden(), shape.gate_hidden);
}

void scale(const MixedShape& shape, const at::Tensor& before, const at::Tensor& choice, const at::Tensor& scaled) {
  nn::check_launch(scale_on_gpu(shape, before.const_data_ptr(), choice.const_data_ptr<int64_t>(), before.size(0),
                                scaled.mutable_data_ptr(), nn::OnGpu(before.device()).stream()),
                   "scale hidden units");
}

// A shape as autograd keeps it.
std::vector<int64_t> numbers_of(const MixedShape& s) {
  return {
      static_cast<int64_t>(s.type), s.width, s.learners, s.learner_width, s.gelu, s.gate_hidden, s.min_k, s.gate_gelu};
}
MixedShape shape_from(const std::vector<int64_t>& n) {
  return {static_cast<at::ScalarType>(n[0]), n[1], n[2], n[3], n[4] != 0, n[5], n[6], n[7] != 0};
}

// Gradients with respect to `before` from those with respect to scaled, in place, and to the gate's second layer:
// [allowed, gate_hidden + 1], the bias last.
at::Tensor backward_to_before(const MixedShape& shape, const MixedGate& gate, const at::Tensor& before,
                              const Decided& decided, const at::Tensor& of_mixture, bool task_gradient,
                              const at::Tensor& gradients) {
  const int64_t rows = before.size(0);
  const auto as = decided.soft.options();
  const at::Tensor of_shares = at::empty({rows, shape.learners}, as);
  const at::Tensor of_layer =
      at::empty({quotient_up(rows, kDecideRows), shape.allowed() * (shape.gate_hidden + 1)}, as);
  const nn::OnGpu gpu(before.device());
  nn::check_launch(scale_backward_on_gpu(shape, gradients.mutable_data_ptr(), before.const_data_ptr(),
                                         decided.choice.const_data_ptr<int64_t>(), rows,
                                         of_shares.mutable_data_ptr<float>(), gpu.stream()),
                   "find the gradients of hidden units");
  nn::check_launch(
      decide_backward_on_gpu(shape, gate, before.const_data_ptr(), numbers(decided.soft), numbers(of_mixture),
                             task_gradient ? numbers(of_shares) : nullptr, rows, gradients.mutable_data_ptr(),
                             of_layer.mutable_data_ptr<float>(), gpu.stream()),
      "find the gradients of a gate");
  return of_layer.sum(0).view({shape.allowed(), shape.gate_hidden + 1});
}

// float32 [columns], in a fixed order.
at::Tensor sum_of_rows(const at::Tensor& rows) {
  const int64_t count = rows.size(0), columns = rows.size(1);
  const at::Tensor parts = at::empty({row_parts(count, columns), columns}, rows.options().dtype(at::kFloat));
  nn::check_launch(sum_rows_on_gpu(rows.scalar_type(), rows.const_data_ptr(), count, columns,
                                   parts.mutable_data_ptr<float>(), nn::OnGpu(rows.device()).stream()),
                   "add the gradients of rows");
  return parts.sum(0);
}

at::Tensor packed_float(const at::Tensor& part) { return part.to(at::kFloat).contiguous(); }

// tokens [rows, width] in the type of the products. Gives output [rows, width], mixture, logits and choice.
struct MixtureOnGpu : torch::autograd::Function<MixtureOnGpu> {
  static variable_list forward(AutogradContext* context, const at::Tensor& tokens, const at::Tensor& w1,
                               const at::Tensor& b1, const at::Tensor& w2, const std::optional<at::Tensor>& b2,
                               const at::Tensor& gate_w1, const at::Tensor& gate_b1, const at::Tensor& gate_w2,
                               const at::Tensor& gate_b2, const MixedShape& shape, double temperature,
                               const ChoiceNoise& noise) {
    const Packed packed = pack(shape, {w1, b1, w2, b2.value_or(at::Tensor()), gate_w1, gate_b1, {}, {}});
    const at::Tensor before = at::addmm(packed.b1, tokens, packed.w1), scaled = at::empty_like(before);
    const int64_t rows_of_sample = tokens.size(0) / std::max<int64_t>(noise.keys.size(0), 1);
    const MixedGate gate{.w2 = numbers(gate_w2),
                         .b2 = numbers(gate_b2),
                         .noise_keys = noise.keys.const_data_ptr<int64_t>(),
                         .tokens = rows_of_sample,
                         .temperature = static_cast<float>(temperature)};
    const Decided decided = decide(shape, gate, gate_part(shape, before), shape.columns());
    scale(shape, before, decided.choice, scaled);
    context->save_for_backward(
        {tokens, packed.w1, packed.w2, before, scaled, decided.soft, decided.choice, gate_w2, gate_b2});
    context->saved_data["shape"] = numbers_of(shape);
    context->saved_data["temperature"] = temperature;
    context->saved_data["task_gradient"] = noise.task_gradient;
    context->saved_data["output_bias"] = b2.has_value();
    context->set_materialize_grads(false);
    context->mark_non_differentiable({decided.logits, decided.choice});
    return {at::mm(scaled, packed.w2), decided.mixture, decided.logits, decided.choice};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &tokens = saved[0], &w1 = saved[1], &w2 = saved[2], &before = saved[3], &scaled = saved[4];
    const Decided decided{{}, saved[5], {}, saved[6]};
    const MixedShape shape = shape_from(context->saved_data["shape"].toIntVector());
    const MixedGate gate{.w2 = numbers(saved[7]),
                         .b2 = numbers(saved[8]),
                         .temperature = static_cast<float>(context->saved_data["temperature"].toDouble())};
    const at::Tensor of_output = gradients[0].defined() ? gradients[0].contiguous() : at::zeros_like(tokens);
    const at::Tensor of_mixture = gradients[1].defined() ? gradients[1].contiguous() : at::Tensor();
    const at::Tensor of_before = at::mm(of_output, w2.t());
    const at::Tensor of_layer = backward_to_before(shape, gate, before, decided, of_mixture,
                                                   context->saved_data["task_gradient"].toBool(), of_before);
    const at::Tensor of_w1 = at::mm(tokens.t(), of_before), of_b1 = sum_of_rows(of_before);
    const at::Tensor of_w2 = at::mm(scaled.t(), of_output);
    const auto learners = [&](const at::Tensor& of, int64_t axis) { return of.narrow(axis, 0, shape.hidden()); };
    const at::Tensor of_b2 =
        context->saved_data["output_bias"].toBool() ? of_w2.narrow(0, shape.hidden(), shape.learners) : at::Tensor();
    return {at::mm(of_before, w1.t()),
            packed_float(learners(of_w1, 1)),
            learners(of_b1, 0),
            packed_float(learners(of_w2, 0)),
            of_b2.defined() ? packed_float(of_b2) : of_b2,
            packed_float(gate_part(shape, of_w1).t()),
            of_b1.narrow(0, shape.hidden(), shape.gate_hidden),
            of_layer.narrow(1, 0, shape.gate_hidden).contiguous(),
            of_layer.select(1, shape.gate_hidden).contiguous(),
            at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }
};

at::Tensor rows_of(const at::Tensor& tokens, at::ScalarType type) {
  return tokens.to(type).reshape({-1, tokens.size(-1)}).contiguous();
}

// A gate's first layer with units that do nothing up to sixteen, fewer of which no product of matrices is made for:
// weight [width, units], bias.
std::vector<at::Tensor> padded(const at::Tensor& weight, const at::Tensor& bias, at::ScalarType type) {
  const int64_t units = weight.size(0), more = quotient_up(units, int64_t{16}) * 16 - units;
  return {at::constant_pad_nd(weight, {0, 0, 0, more}).to(type).t().contiguous(),
          at::constant_pad_nd(bias, {0, more}).to(type)};
}

// Of [rows, ...], in the place of the rows what tokens have.
at::Tensor as_tokens(const at::Tensor& rows, const at::Tensor& tokens) {
  if (!rows.defined()) return rows;
  auto sizes = tokens.sizes().slice(0, tokens.dim() - 1).vec();
  if (rows.dim() > 1) sizes.push_back(rows.size(1));
  return rows.view(sizes);
}

}  // namespace

bool mixes_on_gpu(const at::Tensor& tokens, const Gate& gate) {
  const GateConfig& config = gate.config();
  return tokens.is_cuda() && tokens.scalar_type() != at::kDouble && config.depth == 2 &&
         config.hidden <= kMostGateHidden && gate.last_bias().size(0) <= kMostAllowed &&
         gate.last_bias().scalar_type() == at::kFloat;
}

GatedPass run_mixture_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights, const Gate& gate, int64_t min_k,
                             const ChoiceNoise& noise) {
  const at::ScalarType type = nn::product_type(tokens);
  const SiteWeights w = weights_of(weights, gate);
  const auto b2 = w.b2.defined() ? std::optional(w.b2) : std::nullopt;
  const variable_list of =
      MixtureOnGpu::apply(rows_of(tokens, type), w.w1, w.b1, w.w2, b2, w.gate_w1, w.gate_b1, w.gate_w2, w.gate_b2,
                          shape_of(type, weights, gate, min_k), gate.config().temperature, noise);
  return {as_tokens(of[0], tokens), as_tokens(of[2], tokens), as_tokens(of[1], tokens), as_tokens(of[3], tokens)};
}

bool masks_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights, const Gate& gate) {
  return mixes_on_gpu(tokens, gate) && !at::GradMode::is_enabled() && !orders_on_gpu(tokens, weights);
}

GatedPass run_masked_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights, const Gate& gate, int64_t min_k,
                            KeptTensors& kept, const at::Tensor& choice) {
  const MixedShape shape = shape_of(nn::product_type(tokens), weights, gate, min_k);
  const SiteWeights w = weights_of(weights, gate);
  const auto& packed = kept.of({w.w1, w.b1, w.w2, w.b2, w.gate_w1, w.gate_b1}, shape.type, [&] {
    const Packed made = pack(shape, w);
    return std::vector{made.w1, made.b1, made.w2};
  });
  const at::Tensor hidden = at::addmm(packed[1], rows_of(tokens, shape.type), packed[0]);
  TORCH_CHECK(!choice.defined() || choice.numel() == hidden.size(0), "one count for each token");
  const Decided decided =
      decide(shape, {.w2 = numbers(w.gate_w2), .b2 = numbers(w.gate_b2)}, gate_part(shape, hidden), shape.columns());
  scale(shape, hidden, choice.defined() ? choice.reshape({-1}).contiguous() : decided.choice, hidden);
  return {as_tokens(at::mm(hidden, packed[2]), tokens),
          as_tokens(decided.logits, tokens),
          {},
          as_tokens(decided.choice, tokens)};
}

Gate::Decision run_gate_on_gpu(const at::Tensor& tokens, const Gate& gate, int64_t min_k, KeptTensors& kept) {
  const auto layers = gate.layer_parameters();
  const at::ScalarType type = nn::product_type(tokens);
  const MixedShape shape{.type = type,
                         .width = tokens.size(-1),
                         .learners = layers[3].size(0) - 1 + min_k,
                         .learner_width = 0,
                         .gelu = false,
                         .gate_hidden = gate.config().hidden,
                         .min_k = min_k,
                         .gate_gelu = gate.config().activation == Activation::kGelu};
  const auto& made = kept.of({layers[0], layers[1]}, type, [&] { return padded(layers[0], layers[1], type); });
  const at::Tensor hidden = at::addmm(made[1], rows_of(tokens, type), made[0]);
  const Decided decided = decide(shape, {.w2 = numbers(layers[2]), .b2 = numbers(layers[3])}, hidden, hidden.size(1));
  return {as_tokens(decided.logits, tokens), as_tokens(decided.choice, tokens)};
}

}  // namespace acm
