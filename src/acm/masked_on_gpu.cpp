#include "acm/masked_on_gpu.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include "acm/cuda/masked_products.h"
#include "acm/own_layout.h"
#include "nn/autocast.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

LearnerShape shape_of(const LearnerWeights& w) { return {w.w1.size(0), w.learners, w.w1.size(1) / w.learners}; }

// Site behind site: w1, b1 and w2 of the learners; w1, b1 and layer of the gates.
std::vector<at::Tensor> laid_out(std::span<const GatedSite> sites) {
  std::vector<std::vector<at::Tensor>> parts(6);
  for (const GatedSite& site : sites) {
    const LearnerWeights& w = site.weights;
    const auto gate = laid_out(site.gate);
    const std::vector<at::Tensor> of_site = {grouped(w.w1.to(at::kBFloat16)),
                                             w.b1.to(at::kBFloat16),
                                             grouped(w.w2.to(at::kBFloat16)),
                                             gate[0],
                                             gate[1],
                                             gate[2]};
    for (size_t i = 0; i < parts.size(); ++i) parts[i].push_back(of_site[i]);
  }
  std::vector<at::Tensor> all;
  for (const auto& part : parts) all.push_back(at::stack(part));
  return all;
}

std::vector<at::Tensor> parameters_of(std::span<const GatedSite> sites) {
  std::vector<at::Tensor> all;
  for (const auto& [weights, gate, min_k] : sites) {
    all.insert(all.end(), {weights.w1, weights.b1, weights.w2});
    const auto layers = gate.layer_parameters();
    all.insert(all.end(), layers.begin(), layers.end());
  }
  return all;
}

}  // namespace

bool has_own_masked_products(const at::Tensor& tokens, const GatedSite& site) {
  const int64_t width = tokens.size(-1), rows = width == 0 ? 0 : tokens.numel() / width;
  return nn::product_type(tokens) == at::kBFloat16 && rows > 0 && rows <= kMostTokens && width <= kMostTokenWidth &&
         !site.weights.b2.defined() && has_own_kernel(site.gate) && has_masked_products(shape_of(site.weights));
}

std::vector<GatedPass> run_masked_by_own_products(const at::Tensor& tokens, std::span<const GatedSite> sites,
                                                  KeptTensors& kept, const std::vector<at::Tensor>& choices) {
  const auto& [weights, gate, min_k] = sites.front();
  const auto& made = kept.of(parameters_of(sites), at::kBFloat16, [&] { return laid_out(sites); });
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
                   hidden = at::empty({shape.rows, count, shape.learners.hidden()}, rows.options());
  const nn::OnGpu gpu(rows.device());
  nn::check_launch(choose_on_gpu(rows.const_data_ptr(), shape.rows, shape.learners.width,
                                 gate_of_tokens(gate, min_k, &made[3], logits, decided), count, gpu.stream()),
                   "choose learners");
  const at::Tensor choice = choices.empty()       ? decided
                            : choices.size() == 1 ? choices.front().contiguous()
                                                  : at::stack(choices);
  TORCH_CHECK(choice.numel() == decided.numel(), "one count for each token of each site");
  nn::check_launch(masked_first_on_gpu(shape,
                                       {.tokens = rows.const_data_ptr(),
                                        .w1 = made[0].const_data_ptr(),
                                        .b1 = made[1].const_data_ptr(),
                                        .gelu = weights.activation == Activation::kGelu,
                                        .choice = choice.const_data_ptr<int64_t>(),
                                        .hidden = hidden.mutable_data_ptr()},
                                       gpu.stream()),
                   "run the first layer of masked learners");
  nn::check_launch(
      masked_second_on_gpu(
          shape,
          {.hidden = hidden.const_data_ptr(), .w2 = made[2].const_data_ptr(), .outputs = outputs.mutable_data_ptr()},
          gpu.stream()),
      "run the second layer of masked learners");
  std::vector<GatedPass> passes;
  for (int64_t site = 0; site < count; ++site) passes.push_back({outputs[site], logits[site], {}, decided[site]});
  return passes;
}

}  // namespace acm
