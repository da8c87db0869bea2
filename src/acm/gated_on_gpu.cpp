#include "acm/gated_on_gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <span>
#include <vector>

#include "acm/cuda/gated_products.h"
#include "acm/cuda/plain_rows.h"
#include "acm/cuda/token_rows.h"
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

// Likewise by products of our own, whose tiles are as long as their tokens ask for. w1 [hidden, width], w2 [width,
// hidden].
at::Tensor run_by_gated_products(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights,
                                 const at::Tensor& sums) {
  const int64_t rows = tokens.size(0), width = tokens.size(1), hidden = weights.w1.size(0);
  const Order order = order_of(choice, weights.learners);
  const at::Tensor ordered = gathered(tokens, order.tokens), units = at::empty({rows, hidden}, tokens.options()),
                   out = at::empty_like(tokens);
  const TokensInOrder of{rows,
                         choice.const_data_ptr<int64_t>(),
                         order.tokens.const_data_ptr<int64_t>(),
                         order.sizes.const_data_ptr<int64_t>(),
                         weights.learners,
                         hidden / weights.learners};
  const nn::OnGpu gpu(tokens.device());
  nn::check_launch(first_layer_on_gpu(of,
                                      {.tokens = ordered.const_data_ptr(),
                                       .w1 = weights.w1.const_data_ptr(),
                                       .b1 = weights.b1.const_data_ptr(),
                                       .gelu = weights.activation == Activation::kGelu,
                                       .hidden = units.mutable_data_ptr()},
                                      width, gpu.stream()),
                   "run the first layer of learners");
  nn::check_launch(second_layer_on_gpu(of,
                                       {.hidden = units.const_data_ptr(),
                                        .w2 = weights.w2.const_data_ptr(),
                                        .bias_sums = sums.defined() ? sums.const_data_ptr() : nullptr,
                                        .output = out.mutable_data_ptr()},
                                       width, gpu.stream()),
                   "run the second layer of learners");
  return out;
}

// Ordering saves products and GELU of the learners that do not run, and costs a gate alone, the order and two copies of
// the tokens. In bfloat16 on an H200 (25,216 tokens of width 768, LibTorch's products) that is 0.07 us for each hidden
// unit at half the learners, and 63 us: it pays from about 950 units on. In float32 it is an estimate, and not measured
// for products of our own.
int64_t least_hidden_to_order(at::ScalarType type) { return at::elementSize(type) <= 2 ? 1024 : 128; }

LearnerWeights converted(const LearnerWeights& w, at::ScalarType type) {
  return {w.w1.to(type), w.b1.to(type), w.w2.to(type), w.b2.defined() ? w.b2.to(type) : w.b2, w.learners, w.activation};
}

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
  const bool own = type == at::kBFloat16 &&
                   has_gated_products(weights.w1.size(0), weights.w1.size(1), weights.w1.size(1) / weights.learners);
  const auto& made = kept.of({weights.w1, weights.b1, weights.w2, weights.b2}, type, [&] {
    const LearnerWeights as = converted(weights, type);
    return std::vector{own ? as.w1.t().contiguous() : as.w1, as.b1, own ? as.w2.t().contiguous() : as.w2,
                       bias_sums(as)};
  });
  const LearnerWeights as{made[0], made[1], made[2], {}, weights.learners, weights.activation};
  return (own ? run_by_gated_products : run_in_order)(tokens.to(type).contiguous(), choice.contiguous(), as, made[3]);
}

}  // namespace acm
