#include "acm/mixed_on_gpu.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <span>
#include <vector>

#include "acm/cuda/mixed_rows.h"
#include "acm/cuda/packed_sites.h"
#include "acm/gated_on_gpu.h"
#include "acm/masked_on_gpu.h"
#include "core/quotient.h"
#include "nn/autocast.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Of one site, as autograd takes them: w1, b1, w2 and the gate's two layers; then b2 where there is one.
constexpr size_t kParameters = 7;

std::vector<at::Tensor> parameters_of(std::span<const GatedSite> sites) {
  std::vector<at::Tensor> all;
  for (const GatedSite& site : sites) {
    const LearnerWeights& learners = site.weights;
    const auto gate = site.gate.layer_parameters();
    for (const at::Tensor& one : {learners.w1, learners.b1, learners.w2, gate[0], gate[1], gate[2], gate[3]})
      all.push_back(one);
    if (learners.b2.defined()) all.push_back(learners.b2);
  }
  return all;
}

template <class Number, class Pointer>
std::vector<SiteParameters<Number>> pointers_to(at::TensorList parameters, int64_t sites, Pointer pointer) {
  std::vector<SiteParameters<Number>> to;
  const size_t each = parameters.size() / static_cast<size_t>(sites);
  for (size_t first = 0; first < parameters.size(); first += each) {
    const auto at = [&](size_t i) { return i < each ? pointer(parameters[first + i]) : nullptr; };
    to.push_back({at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(kParameters)});
  }
  return to;
}

MixedShape shape_of(at::ScalarType type, std::span<const GatedSite> sites) {
  TORCH_CHECK(static_cast<int64_t>(sites.size()) <= kMostSites, "too many sites at once");
  const auto& [learners, gate, min_k] = sites.front();
  return {.type = type,
          .sites = static_cast<int64_t>(sites.size()),
          .width = learners.w1.size(0),
          .learners = learners.learners,
          .learner_width = learners.w2.size(0) / learners.learners,
          .gelu = learners.activation == Activation::kGelu,
          .gate_hidden = gate.config().hidden,
          .min_k = min_k,
          .gate_gelu = gate.config().activation == Activation::kGelu};
}

// A shape as autograd keeps it.
std::vector<int64_t> numbers_of(const MixedShape& s) {
  return {static_cast<int64_t>(s.type),
          s.sites,
          s.width,
          s.learners,
          s.learner_width,
          s.gelu,
          s.gate_hidden,
          s.min_k,
          s.gate_gelu};
}
MixedShape shape_from(const std::vector<int64_t>& n) {
  return {static_cast<at::ScalarType>(n[0]), n[1], n[2], n[3], n[4], n[5] != 0, n[6], n[7], n[8] != 0};
}

const float* numbers(const at::Tensor& tensor) { return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr; }

// The matrices of the products (cuda/packed_sites.h), w1 as [width, sites * columns].
struct Packed {
  at::Tensor w1, b1, w2, gate_layer;
};

Packed pack(const MixedShape& shape, at::TensorList parameters) {
  const auto as = parameters.front().options().requires_grad(false), as_factors = as.dtype(shape.type);
  Packed to{at::empty({shape.width, shape.sites * shape.columns()}, as_factors),
            at::empty({shape.sites * shape.columns()}, as_factors),
            at::empty({shape.sites, shape.columns(), shape.width}, as_factors),
            at::empty({shape.sites, shape.allowed(), shape.gate_hidden + 1}, as)};
  const auto from = pointers_to<const float>(parameters, shape.sites, numbers);
  nn::check_launch(pack_on_gpu(shape, from.data(),
                               {to.w1.mutable_data_ptr(), to.b1.mutable_data_ptr(), to.w2.mutable_data_ptr(),
                                to.gate_layer.mutable_data_ptr<float>()},
                               nn::OnGpu(to.w1.device()).stream()),
                   "lay out the weights of a site");
  return to;
}

// Gradients laid out as `pack` has the weights, to those of the parameters.
std::vector<at::Tensor> unpack(const MixedShape& shape, const Packed& from, bool output_bias) {
  const int64_t width = shape.width, hidden = shape.hidden(), units = shape.gate_hidden, allowed = shape.allowed();
  std::vector<at::Tensor> to;
  const auto add = [&](at::IntArrayRef sizes) { to.push_back(at::empty(sizes, from.b1.options())); };
  for (int64_t site = 0; site < shape.sites; ++site) {
    add({width, hidden}), add({hidden}), add({hidden, width});
    add({units, width}), add({units}), add({allowed, units}), add({allowed});
    if (output_bias) add({shape.learners, width});
  }
  const auto pointers =
      pointers_to<float>(to, shape.sites, [](const at::Tensor& t) { return t.mutable_data_ptr<float>(); });
  nn::check_launch(
      unpack_on_gpu(shape,
                    {from.w1.const_data_ptr(), numbers(from.b1), from.w2.const_data_ptr(), numbers(from.gate_layer)},
                    pointers.data(), nn::OnGpu(from.w1.device()).stream()),
      "lay out the gradients of a site");
  return to;
}

// What gates chose. soft and mixture undefined without noise.
struct Decided {
  at::Tensor logits, soft, mixture;  // [sites, rows, allowed]
  at::Tensor choice;                 // [sites, rows]
};

// hidden: the gates' hidden units before the activation, `stride` numbers from row to row.
Decided decide(const MixedShape& shape, const MixedGates& gates, const at::Tensor& hidden, int64_t stride) {
  const int64_t rows = hidden.size(0);
  const auto made = [&](bool wanted) {
    return wanted ? at::empty({shape.sites, rows, shape.allowed()}, hidden.options().dtype(at::kFloat)) : at::Tensor();
  };
  const auto pointer = [](const at::Tensor& to) { return to.defined() ? to.mutable_data_ptr<float>() : nullptr; };
  const bool noisy = gates.noise_keys != nullptr;
  Decided of{made(true), made(noisy), made(noisy), at::empty({shape.sites, rows}, hidden.options().dtype(at::kLong))};
  nn::check_launch(
      decide_on_gpu(shape, gates, hidden.const_data_ptr(), stride, rows,
                    {pointer(of.logits), pointer(of.soft), pointer(of.mixture), of.choice.mutable_data_ptr<int64_t>()},
                    nn::OnGpu(hidden.device()).stream()),
      "choose learners");
  return of;
}

// The same from rows of all hidden units.
Decided decide(const MixedShape& shape, const MixedGates& gates, const at::Tensor& before) {
  return decide(shape, gates, before.narrow(1, shape.hidden(), shape.gate_hidden), before.size(1));
}

at::Tensor part_of(const MixedShape& shape, const at::Tensor& rows, int64_t site) {
  return rows.narrow(1, site * shape.columns(), shape.columns());
}

void scale(const MixedShape& shape, const at::Tensor& before, const at::Tensor& choice, const at::Tensor& scaled) {
  nn::check_launch(scale_on_gpu(shape, before.const_data_ptr(), choice.const_data_ptr<int64_t>(), before.size(0),
                                scaled.mutable_data_ptr(), nn::OnGpu(before.device()).stream()),
                   "scale hidden units");
}

// Gradients with respect to `before` from those with respect to scaled, in place; gives those of what is added up over
// rows: b1 of the matrices, and the gates' second layers.
Packed backward_to_before(const MixedShape& shape, const MixedGates& gates, const at::Tensor& before,
                          const Decided& decided, const at::Tensor& of_mixture, bool task_gradient,
                          const at::Tensor& gradients) {
  const int64_t rows = before.size(0), hidden = shape.hidden(), units = shape.gate_hidden;
  const auto as = decided.soft.options();
  const ScaleParts in = scale_parts(shape, rows);
  const at::Tensor of_shares = at::empty({rows, shape.sites, shape.learners, in.slices}, as),
                   of_biases = at::empty({in.parts, shape.sites, hidden}, as),
                   of_gates = at::empty({shape.sites, quotient_up(rows, kDecideRows), shape.gate_sums()}, as);
  const nn::OnGpu gpu(before.device());
  nn::check_launch(
      scale_backward_on_gpu(shape, gradients.mutable_data_ptr(), before.const_data_ptr(),
                            decided.choice.const_data_ptr<int64_t>(), rows,
                            {of_shares.mutable_data_ptr<float>(), of_biases.mutable_data_ptr<float>()}, gpu.stream()),
      "find the gradients of hidden units");
  nn::check_launch(
      decide_backward_on_gpu(shape, gates, before.const_data_ptr(), numbers(decided.soft), numbers(of_mixture),
                             task_gradient ? numbers(of_shares) : nullptr, rows, gradients.mutable_data_ptr(),
                             of_gates.mutable_data_ptr<float>(), gpu.stream()),
      "find the gradients of gates");
  Packed of{{}, at::empty({shape.sites, shape.columns()}, as), {}, {}};
  at::Tensor of_learners = of.b1.narrow(1, 0, hidden);
  at::sum_out(of_learners, of_biases, 0);
  const at::Tensor of_gate = of_gates.sum(1);
  of.b1.narrow(1, hidden, units).copy_(of_gate.narrow(1, shape.gate_layer(), units));
  of.gate_layer = of_gate.narrow(1, 0, shape.gate_layer()).contiguous();
  return of;
}

// tokens [rows, width] in the type of the products. Gives the output [rows, width] of each site, then of all of them
// mixture, logits and choice.
struct MixtureOnGpu : torch::autograd::Function<MixtureOnGpu> {
  static variable_list forward(AutogradContext* context, const at::Tensor& tokens, at::TensorList parameters,
                               const MixedShape& shape, double temperature, const ChoiceNoise& noise) {
    TORCH_CHECK(noise.keys.size(0) == shape.sites && noise.keys.numel() > 0, "a key for each sample at each site");
    const Packed packed = pack(shape, parameters);
    const at::Tensor before = at::addmm(packed.b1, tokens, packed.w1), scaled = at::empty_like(before);
    const MixedGates gates{.layer = numbers(packed.gate_layer),
                           .noise_keys = noise.keys.const_data_ptr<int64_t>(),
                           .tokens = tokens.size(0) / noise.keys.size(1),
                           .temperature = static_cast<float>(temperature)};
    const Decided decided = decide(shape, gates, before);
    scale(shape, before, decided.choice, scaled);
    context->save_for_backward(
        {tokens, packed.w1, packed.w2, packed.gate_layer, before, scaled, decided.soft, decided.choice});
    context->saved_data["shape"] = numbers_of(shape);
    context->saved_data["temperature"] = temperature;
    context->saved_data["task_gradient"] = noise.task_gradient;
    context->saved_data["parameters"] = static_cast<int64_t>(parameters.size());
    context->set_materialize_grads(false);
    context->mark_non_differentiable({decided.logits, decided.choice});
    variable_list all;
    for (int64_t site = 0; site < shape.sites; ++site)
      all.push_back(at::mm(part_of(shape, scaled, site), packed.w2[site]));
    all.insert(all.end(), {decided.mixture, decided.logits, decided.choice});
    return all;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &tokens = saved[0], &w1 = saved[1], &w2 = saved[2], &before = saved[4], &scaled = saved[5];
    const MixedShape shape = shape_from(context->saved_data["shape"].toIntVector());
    const MixedGates gates{.layer = numbers(saved[3]),
                           .temperature = static_cast<float>(context->saved_data["temperature"].toDouble())};
    const int64_t parameters = context->saved_data["parameters"].toInt();
    const at::Tensor of_before = at::empty_like(before);
    const at::Tensor of_w2 = at::empty_like(w2);
    for (int64_t site = 0; site < shape.sites; ++site) {
      const at::Tensor& given = gradients[static_cast<size_t>(site)];
      const at::Tensor of_output = given.defined() ? given.contiguous() : at::zeros_like(tokens);
      at::Tensor of_scaled = part_of(shape, of_before, site), of_second = of_w2[site];
      at::mm_out(of_scaled, of_output, w2[site].t());
      at::mm_out(of_second, part_of(shape, scaled, site).t(), of_output);
    }
    const at::Tensor& given = gradients[static_cast<size_t>(shape.sites)];
    Packed of = backward_to_before(shape, gates, before, {{}, saved[6], {}, saved[7]},
                                   given.defined() ? given.contiguous() : given,
                                   context->saved_data["task_gradient"].toBool(), of_before);
    of.w1 = at::mm(tokens.t(), of_before);
    of.w2 = of_w2;
    variable_list all = unpack(shape, of, parameters > shape.sites * static_cast<int64_t>(kParameters));
    all.insert(all.begin(), at::mm(of_before, w1.t()));
    all.resize(all.size() + 3);
    return all;
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

// Of [sites, rows, ...], by site. The gradient of unbind() would be copied, even that of one.
std::vector<at::Tensor> by_site(const at::Tensor& of_all) {
  return of_all.size(0) == 1 ? std::vector{of_all.squeeze(0)} : of_all.unbind(0);
}

std::vector<GatedPass> passes_of(const at::Tensor& tokens, std::span<const at::Tensor> outputs,
                                 const Decided& decided) {
  const auto logits = by_site(decided.logits), choice = by_site(decided.choice);
  const auto mixture = decided.mixture.defined() ? by_site(decided.mixture) : std::vector<at::Tensor>(outputs.size());
  std::vector<GatedPass> passes;
  for (size_t site = 0; site < outputs.size(); ++site)
    passes.push_back({as_tokens(outputs[site], tokens), as_tokens(logits[site], tokens),
                      as_tokens(mixture[site], tokens), as_tokens(choice[site], tokens)});
  return passes;
}

}  // namespace

bool mixes_on_gpu(const at::Tensor& tokens, const Gate& gate) {
  return tokens.is_cuda() && tokens.scalar_type() != at::kDouble && gate.config().depth == 2 &&
         gate.last_bias().size(0) <= kMostAllowed && gate.last_bias().scalar_type() == at::kFloat;
}

std::vector<GatedPass> run_mixture_on_gpu(const at::Tensor& tokens, std::span<const GatedSite> sites,
                                          const ChoiceNoise& noise) {
  const at::ScalarType type = nn::product_type(tokens);
  const variable_list all = MixtureOnGpu::apply(rows_of(tokens, type), at::TensorList(parameters_of(sites)),
                                                shape_of(type, sites), sites.front().gate.config().temperature, noise);
  const size_t count = sites.size();
  return passes_of(tokens, {all.data(), count}, {all[count + 1], {}, all[count], all[count + 2]});
}

bool masks_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights, const Gate& gate) {
  return mixes_on_gpu(tokens, gate) && !at::GradMode::is_enabled() && !orders_on_gpu(tokens, weights);
}

std::vector<GatedPass> run_masked_on_gpu(const at::Tensor& tokens, std::span<const GatedSite> sites, KeptTensors& kept,
                                         const std::vector<at::Tensor>& choices) {
  const nn::OnGpu gpu(tokens.device());
  const at::ScalarType type = nn::product_type(tokens);
  const auto parameters = parameters_of(sites);
  if (has_own_masked_products(type, sites.front()))
    return run_masked_by_own_products(tokens, sites, parameters, kept, choices);
  const MixedShape shape = shape_of(type, sites);
  const auto& packed = kept.of(parameters, shape.type, [&] {
    const Packed made = pack(shape, parameters);
    return std::vector{made.w1, made.b1, made.w2, made.gate_layer};
  });
  const at::Tensor hidden = at::addmm(packed[1], rows_of(tokens, shape.type), packed[0]);
  const Decided decided = decide(shape, {.layer = numbers(packed[3])}, hidden);
  const at::Tensor choice = given_or_decided(choices, decided.choice);
  scale(shape, hidden, choice, hidden);
  std::vector<at::Tensor> outputs;
  for (int64_t site = 0; site < shape.sites; ++site)
    outputs.push_back(at::mm(part_of(shape, hidden, site), packed[2][site]));
  return passes_of(tokens, outputs, decided);
}

Gate::Decision run_gate_on_gpu(const at::Tensor& tokens, const Gate& gate, int64_t min_k, KeptTensors& kept) {
  const auto layers = gate.layer_parameters();
  const at::ScalarType type = nn::product_type(tokens);
  const MixedShape shape{.type = type,
                         .sites = 1,
                         .width = tokens.size(-1),
                         .learners = layers[3].size(0) - 1 + min_k,
                         .learner_width = 0,
                         .gelu = false,
                         .gate_hidden = gate.config().hidden,
                         .min_k = min_k,
                         .gate_gelu = gate.config().activation == Activation::kGelu};
  const auto& made = kept.of(layers, type, [&] {
    auto first = padded(layers[0], layers[1], type);
    first.push_back(gate.second_layer());
    return first;
  });
  const at::Tensor hidden = at::addmm(made[1], rows_of(tokens, type), made[0]);
  const Decided decided = decide(shape, {.layer = numbers(made[2])}, hidden, hidden.size(1));
  return {as_tokens(decided.logits.squeeze(0), tokens), as_tokens(decided.choice.squeeze(0), tokens)};
}

}  // namespace acm
