#include "acm/masked_on_gpu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include "acm/cuda/masked_products.h"
#include "acm/own_layout.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

constexpr size_t kGates = 3;  // where their tensors begin

// Site behind site: w1, b1 and w2 of the learners; w1, b1 and layer of the gates.
std::vector<at::Tensor> laid_out_together(std::span<const GatedSite> sites) {
  std::vector<std::vector<at::Tensor>> parts(6);
  for (const auto& [learners, gate, min_k] : sites) {
    parts[0].push_back(grouped(learners.w1.to(at::kBFloat16)));
    parts[1].push_back(learners.b1.to(at::kBFloat16));
    parts[2].push_back(grouped(learners.w2.to(at::kBFloat16)));
    const auto of_gate = laid_out(gate);
    for (size_t i = 0; i < of_gate.size(); ++i) parts[kGates + i].push_back(of_gate[i]);
  }
  std::vector<at::Tensor> all;
  for (const auto& part : parts) all.push_back(at::stack(part));
  return all;
}

void launch_all(const MaskedShape& shape, at::Device device, const GateOfTokens& gates, const MaskedFirst& first,
                const MaskedSecond& second) {
  const nn::OnGpu gpu(device);
  nn::check_launch(choose_on_gpu(first.tokens, shape.rows, shape.learners.width, gates, shape.sites, gpu.stream()),
                   "choose learners");
  nn::check_launch(masked_first_on_gpu(shape, first, gpu.stream()), "run the first layer of masked learners");
  nn::check_launch(masked_second_on_gpu(shape, second, gpu.stream()), "run the second layer of masked learners");
}

}  // namespace

bool has_own_masked_products(at::ScalarType type, const GatedSite& site) {
  return type == at::kBFloat16 && site.weights.w1.size(0) <= kMostTokenWidth && !site.weights.b2.defined() &&
         has_own_kernel(site.gate) && has_masked_products(shape_of(site.weights));
}

at::Tensor given_or_decided(const std::vector<at::Tensor>& choices, const at::Tensor& decided) {
  const at::Tensor choice = choices.empty()       ? decided
                            : choices.size() == 1 ? choices.front().contiguous()
                                                  : at::stack(choices);
  TORCH_CHECK(choice.numel() == decided.numel(), "one count for each token of each site");
  return choice;
}

std::vector<GatedPass> run_masked_by_own_products(const at::Tensor& tokens, std::span<const GatedSite> sites,
                                                  const std::vector<at::Tensor>& parameters, KeptTensors& kept,
                                                  const std::vector<at::Tensor>& choices) {
  const auto& [weights, gate, min_k] = sites.front();
  const auto& made = kept.of(parameters, at::kBFloat16, [&] { return laid_out_together(sites); });
  const auto count = static_cast<int64_t>(sites.size());
  const at::Tensor rows = tokens.to(at::kBFloat16).reshape({-1, tokens.size(-1)}).contiguous();
  const MaskedShape shape{count, rows.size(0), shape_of(weights)};
  const auto made_for = [&](at::ScalarType type, int64_t last) {
    auto sizes = tokens.sizes().vec();
    sizes.insert(sizes.begin(), count);
    sizes.back() = last;
    return at::empty(sizes, rows.options().dtype(type));
  };
  const at::Tensor logits = made_for(at::kFloat, gate.last_bias().size(0)),
                   decided = made_for(at::kLong, 1).squeeze(-1),
                   outputs = made_for(at::kBFloat16, shape.learners.width),
                   hidden = at::empty({shape.rows, count, shape.learners.hidden()}, rows.options()),
                   choice = given_or_decided(choices, decided);
  if (shape.rows > 0)
    launch_all(
        shape, rows.device(), gate_of_tokens(gate, min_k, &made[kGates], logits, decided),
        {.tokens = rows.const_data_ptr(),
         .w1 = made[0].const_data_ptr(),
         .b1 = made[1].const_data_ptr(),
         .gelu = weights.activation == Activation::kGelu,
         .choice = choice.const_data_ptr<int64_t>(),
         .hidden = hidden.mutable_data_ptr()},
        {.hidden = hidden.const_data_ptr(), .w2 = made[2].const_data_ptr(), .outputs = outputs.mutable_data_ptr()});
  std::vector<GatedPass> passes;
  for (int64_t site = 0; site < count; ++site) passes.push_back({outputs[site], logits[site], {}, decided[site]});
  return passes;
}

}  // namespace acm
