#include "acm/gated_on_gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <span>
#include <vector>

#include "acm/cuda/activate.h"
#include "acm/cuda/gated_products.h"
#include "acm/cuda/token_rows.h"
#include "acm/own_layout.h"
#include "nn/autocast.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

int64_t row_bytes(const at::Tensor& rows) { return rows.size(1) * static_cast<int64_t>(rows.element_size()); }

// In place. Adding the bias here saves the product a search for how to do so, which is as long as a small product.
void activate(Activation activation, const at::Tensor& bias, const at::Tensor& hidden) {
  nn::check_launch(
      activate_on_gpu(hidden.scalar_type(), activation == Activation::kGelu, hidden.mutable_data_ptr(),
                      bias.const_data_ptr(), hidden.size(0), hidden.size(1), nn::OnGpu(hidden.device()).stream()),
      "apply the activation");
}

// Tokens by falling count [rows], and how many there are of each, and of impossible ones [learners + 2]: int64.
struct Order {
  at::Tensor tokens, sizes;
};

Order order_of(const at::Tensor& choice, int64_t learners) {
  const int64_t rows = choice.size(0);
  const at::Tensor order = at::empty_like(choice), sizes = at::empty({learners + 2}, choice.options()),
                   counts = at::empty({order_segments(rows), learners + 2}, choice.options());
  nn::check_launch(order_on_gpu(choice.const_data_ptr<int64_t>(), rows, learners, counts.mutable_data_ptr<int64_t>(),
                                order.mutable_data_ptr<int64_t>(), sizes.mutable_data_ptr<int64_t>(),
                                nn::OnGpu(choice.device()).stream()),
                   "order tokens");
  return {order, sizes};
}

// The rows in the order.
at::Tensor gathered(const at::Tensor& tokens, const at::Tensor& order) {
  const at::Tensor to = at::empty_like(tokens);
  nn::check_launch(gather_on_gpu(tokens.const_data_ptr(), order.const_data_ptr<int64_t>(), tokens.size(0),
                                 row_bytes(tokens), to.mutable_data_ptr(), nn::OnGpu(tokens.device()).stream()),
                   "gather tokens");
  return to;
}

at::Tensor scattered(const at::Tensor& rows, const at::Tensor& order, int64_t filled) {
  const at::Tensor to = at::empty_like(rows);
  nn::check_launch(scatter_on_gpu(rows.const_data_ptr(), order.const_data_ptr<int64_t>(), filled, rows.size(0),
                                  row_bytes(rows), to.mutable_data_ptr(), nn::OnGpu(rows.device()).stream()),
                   "scatter tokens");
  return to;
}

// h(z, count) of the rows `in`; scratch: their hidden units, or more.
void run_rows(const at::Tensor& in, int64_t count, const LearnerWeights& weights, const at::Tensor& sums,
              const at::Tensor& scratch, at::Tensor out) {
  const int64_t rows = in.size(0), columns = count * (weights.w2.size(0) / weights.learners);
  at::Tensor hidden = scratch.narrow(0, 0, rows * columns).view({rows, columns});
  at::mm_out(hidden, in, weights.w1.narrow(1, 0, columns));
  activate(weights.activation, weights.b1, hidden);
  const at::Tensor w2 = weights.w2.narrow(0, 0, columns);
  if (sums.defined())
    at::addmm_out(out, sums[count - 1], hidden, w2);
  else
    at::mm_out(out, hidden, w2);
}

// sums: those of the biases (bias_sums).
at::Tensor run_in_order(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights,
                        const at::Tensor& sums) {
  const Order order = order_of(choice, weights.learners);
  const nn::CopyToHost copied_sizes(order.sizes);
  // While the host waits for the sizes.
  const at::Tensor ordered = gathered(tokens, order.tokens), out = at::empty_like(tokens),
                   scratch = at::empty({tokens.size(0) * weights.w2.size(0)}, tokens.options());
  const std::span<const int64_t> sizes = copied_sizes.wait();
  TORCH_CHECK(sizes.back() == 0, "a token chose more learners than there are");
  if (sizes[0] == tokens.size(0)) return at::zeros_like(tokens);
  const bool moves = std::ranges::find(sizes, tokens.size(0)) == sizes.end();  // else all tokens run equally many
  const at::Tensor& in = moves ? ordered : tokens;
  int64_t begin = 0;
  for (int64_t count = weights.learners; count > 0; --count) {
    const int64_t rows = sizes[static_cast<size_t>(count)];
    if (rows > 0) run_rows(in.narrow(0, begin, rows), count, weights, sums, scratch, out.narrow(0, begin, rows));
    begin += rows;
  }
  return moves ? scattered(out, order.tokens, begin) : out;
}

LearnerWeights converted(const LearnerWeights& w, at::ScalarType type) {
  return {w.w1.to(type), w.b1.to(type), w.w2.to(type), w.b2.defined() ? w.b2.to(type) : w.b2, w.learners, w.activation};
}

bool has_own_products(const LearnerWeights& weights, at::ScalarType type) {
  return type == at::kBFloat16 && has_gated_products(shape_of(weights));
}

// The learners as products read them: w1, b1, w2, sums of b2.
const std::vector<at::Tensor>& kept_learners(const LearnerWeights& weights, at::ScalarType type, KeptTensors& kept) {
  return kept.of({weights.w1, weights.b1, weights.w2, weights.b2}, type, [&] {
    const LearnerWeights as = converted(weights, type);
    const bool own = has_own_products(weights, type);
    return std::vector{own ? grouped(as.w1) : as.w1, as.b1, own ? grouped(as.w2) : as.w2, bias_sums(as)};
  });
}

// Likewise by products of our own, whose tiles are as long as their tokens ask for. tokens [rows, width]; learners as
// kept_learners() has them. choice or gate may be null: see place_tokens_on_gpu.
at::Tensor run_by_own_products(const at::Tensor& tokens, const at::Tensor& choice, const GateOfTokens* gate,
                               const LearnerWeights& weights, const std::vector<at::Tensor>& learners) {
  const LearnerShape shape = shape_of(weights);
  const int64_t count = tokens.size(0), rows = tiled_rows(count, shape.learners);
  const auto numbers = tokens.options().dtype(at::kInt);
  const at::Tensor of_tiles = at::zeros({tile_numbers(count, shape.learners)}, numbers),
                   places = at::empty({rows}, numbers), tiles = at::empty({rows, shape.width}, tokens.options()),
                   hidden = at::empty({rows, shape.hidden()}, tokens.options()), output = at::empty_like(tokens);
  const TokenTiles in_tiles{count, shape.learners, of_tiles.mutable_data_ptr<int32_t>(),
                            places.mutable_data_ptr<int32_t>(), tiles.mutable_data_ptr()};
  const nn::OnGpu gpu(tokens.device());
  nn::check_launch(place_tokens_on_gpu(tokens.const_data_ptr(), shape.width,
                                       choice.defined() ? choice.const_data_ptr<int64_t>() : nullptr, gate, in_tiles,
                                       output.mutable_data_ptr(), gpu.stream()),
                   "put tokens in tiles");
  nn::check_launch(first_layer_on_gpu(in_tiles,
                                      {.w1 = learners[0].const_data_ptr(),
                                       .b1 = learners[1].const_data_ptr(),
                                       .gelu = weights.activation == Activation::kGelu,
                                       .hidden = hidden.mutable_data_ptr()},
                                      shape, gpu.stream()),
                   "run the first layer of learners");
  const at::Tensor& sums = learners[3];
  nn::check_launch(second_layer_on_gpu(in_tiles,
                                       {.hidden = hidden.const_data_ptr(),
                                        .w2 = learners[2].const_data_ptr(),
                                        .bias_sums = sums.defined() ? sums.const_data_ptr() : nullptr,
                                        .output = output.mutable_data_ptr()},
                                       shape, gpu.stream()),
                   "run the second layer of learners");
  return output;
}

// A gate and its learners, all by our own: rows [rows, width] of tokens of so many dimensions (`shape`), given [rows]
// or undefined.
GatedPass run_with_gate(const at::Tensor& rows, const at::Tensor& given, const GatedSite& site, KeptSite& kept,
                        at::IntArrayRef shape) {
  TORCH_CHECK(!given.defined() || given.numel() == rows.size(0), "one count for each token");
  auto sizes = shape.slice(0, shape.size() - 1).vec();
  GatedPass pass;
  pass.choice = at::empty(sizes, rows.options().dtype(at::kLong));
  sizes.push_back(site.gate.last_bias().size(0));
  pass.logits = at::empty(sizes, rows.options().dtype(at::kFloat));
  const auto& made = kept.gate.of(site.gate.layer_parameters(), at::kBFloat16, [&] { return laid_out(site.gate); });
  const GateOfTokens gate = gate_of_tokens(site.gate, site.min_k, made.data(), pass.logits, pass.choice);
  pass.output = run_by_own_products(rows, given.defined() ? given.contiguous() : given, &gate, site.weights,
                                    kept_learners(site.weights, at::kBFloat16, kept.learners))
                    .view(shape);
  return pass;
}

// Ordering saves products and GELU of the learners that do not run. By LibTorch's products, in bfloat16 on an H200
// (25,216 tokens of width 768), that is 0.07 us for each hidden unit at half the learners, and costs 63 us for a gate
// alone, the order and two copies of the tokens: it pays from about 950 units on. By products of our own, on an H100,
// 384 units took 98 us so, and 90 us when all ran (mixed_on_gpu.h); where they begin to pay was not measured, and in
// float32 it is an estimate.
int64_t least_hidden_to_order(at::ScalarType type) { return at::elementSize(type) <= 2 ? 1024 : 128; }

}  // namespace

bool orders_on_gpu(const at::Tensor& tokens, const LearnerWeights& weights) {
  return tokens.is_cuda() && tokens.scalar_type() != at::kDouble && !at::GradMode::is_enabled() &&
         weights.learners <= kMostOrdered && weights.w1.size(1) >= least_hidden_to_order(nn::product_type(tokens));
}

at::Tensor run_chosen_learners_on_gpu(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights,
                                      KeptTensors& kept) {
  TORCH_CHECK(choice.dim() == 1 && choice.size(0) == tokens.size(0), "one count for each token");
  const at::ScalarType type = nn::product_type(tokens);
  if (tokens.size(0) == 0) return at::zeros_like(tokens, type);
  const nn::OnGpu gpu(tokens.device());
  const auto& made = kept_learners(weights, type, kept);
  const at::Tensor rows = tokens.to(type).contiguous(), counts = choice.contiguous();
  if (has_own_products(weights, type)) return run_by_own_products(rows, counts, nullptr, weights, made);
  const LearnerWeights as{made[0], made[1], made[2], {}, weights.learners, weights.activation};
  return run_in_order(rows, counts, as, made[3]);
}

GatedPass run_gated_on_gpu(const at::Tensor& tokens, const GatedSite& site, KeptSite& kept, const at::Tensor& choice) {
  const nn::OnGpu gpu(tokens.device());
  const at::ScalarType type = nn::product_type(tokens);
  const at::Tensor rows = tokens.to(type).reshape({-1, tokens.size(-1)}).contiguous(),  // rounded once for both
      given = choice.defined() ? choice.reshape({-1}) : choice;
  if (has_own_products(site.weights, type) && has_own_kernel(site.gate) && rows.size(0) > 0)
    return run_with_gate(rows, given, site, kept, tokens.sizes());
  const Gate::Decision decision = site.gate.decide(rows.view(tokens.sizes()), site.min_k);
  const at::Tensor output = run_chosen_learners_on_gpu(rows, given.defined() ? given : decision.choice.reshape({-1}),
                                                       site.weights, kept.learners);
  return {output.view(tokens.sizes()), decision.logits, {}, decision.choice};
}

}  // namespace acm
