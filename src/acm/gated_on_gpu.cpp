#include "acm/gated_on_gpu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <vector>

#include "acm/cuda/token_rows.h"
#include "acm/product_type.h"
#include "nn/cuda/stream.h"

namespace acm {
namespace {

// From so many hidden units on, tokens are ordered. Ordering at half the learners saves a multiplication and addition
// for each of half the hidden units, twice, and costs four copies of a number, by each number of a token: in 16 bits
// it pays from 640 units on at 700 TFLOP/s and 4.3 TB/s, in float32 from 110 (estimates: a GPU has to confirm them).
int64_t least_hidden_to_order(at::ScalarType type) { return at::elementSize(type) <= 2 ? 1024 : 128; }

int64_t row_bytes(const at::Tensor& rows) { return rows.size(1) * static_cast<int64_t>(rows.element_size()); }

void activate(Activation activation, at::Tensor& hidden) {
  if (activation == Activation::kGelu) at::gelu_(hidden);
}

// Tokens by falling count, and how many there are of each; the host waits for the latter.
struct Order {
  at::Tensor tokens;  // int64 [rows], on the GPU
  std::vector<int64_t> sizes;
};

Order order_of(const at::Tensor& choice, int64_t learners) {
  const at::Tensor order = at::empty_like(choice), sizes = at::empty({learners + 1}, choice.options());
  nn::check_launch(
      order_on_gpu(choice.const_data_ptr<int64_t>(), choice.size(0), learners, order.mutable_data_ptr<int64_t>(),
                   sizes.mutable_data_ptr<int64_t>(), nn::OnGpu(choice.device()).stream()),
      "order tokens");
  const at::Tensor on_host = sizes.cpu();
  const int64_t* begin = on_host.const_data_ptr<int64_t>();
  Order result{order, {begin, begin + learners + 1}};
  TORCH_CHECK(on_host.sum().item<int64_t>() == choice.size(0), "a token chose more learners than there are");
  return result;
}

// The first rows of the order, copied behind one another.
at::Tensor gathered(const at::Tensor& tokens, const at::Tensor& order, int64_t rows) {
  const at::Tensor to = at::empty({rows, tokens.size(1)}, tokens.options());
  nn::check_launch(gather_on_gpu(tokens.const_data_ptr(), order.const_data_ptr<int64_t>(), rows, row_bytes(tokens),
                                 to.mutable_data_ptr(), nn::OnGpu(tokens.device()).stream()),
                   "gather tokens");
  return to;
}

at::Tensor scattered(const at::Tensor& rows, const at::Tensor& order) {
  const at::Tensor to = at::empty({order.size(0), rows.size(1)}, rows.options());
  nn::check_launch(scatter_on_gpu(rows.const_data_ptr(), order.const_data_ptr<int64_t>(), rows.size(0), order.size(0),
                                  row_bytes(rows), to.mutable_data_ptr(), nn::OnGpu(rows.device()).stream()),
                   "scatter tokens");
  return to;
}

// h(z, count) of the rows `in`; scratch: their hidden units, or more.
void run_rows(const at::Tensor& in, int64_t count, const LearnerWeights& weights, const at::Tensor& sums,
              const at::Tensor& scratch, at::Tensor out) {
  const int64_t rows = in.size(0), columns = count * (weights.w2.size(0) / weights.learners);
  at::Tensor hidden = scratch.narrow(0, 0, rows * columns).view({rows, columns});
  at::addmm_out(hidden, weights.b1.narrow(0, 0, columns), in, weights.w1.narrow(1, 0, columns));
  activate(weights.activation, hidden);
  const at::Tensor w2 = weights.w2.narrow(0, 0, columns);
  if (sums.defined())
    at::addmm_out(out, sums[count - 1], hidden, w2);
  else
    at::mm_out(out, hidden, w2);
}

at::Tensor run_in_order(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights) {
  const auto [order, sizes] = order_of(choice, weights.learners);
  const int64_t learner_width = weights.w2.size(0) / weights.learners, filled = tokens.size(0) - sizes[0];
  const bool moves = std::ranges::find(sizes, tokens.size(0)) == sizes.end();  // else all tokens run equally many
  int64_t space = 0;
  for (int64_t count = 1; count <= weights.learners; ++count)
    space = std::max(space, sizes[static_cast<size_t>(count)] * count * learner_width);
  const at::Tensor in = moves ? gathered(tokens, order, filled) : tokens, out = at::empty_like(in),
                   scratch = at::empty({space}, in.options()), sums = bias_sums(weights);
  int64_t begin = 0;
  for (int64_t count = weights.learners; count > 0; --count) {
    const int64_t rows = sizes[static_cast<size_t>(count)];
    if (rows > 0) run_rows(in.narrow(0, begin, rows), count, weights, sums, scratch, out.narrow(0, begin, rows));
    begin += rows;
  }
  if (filled == 0) return at::zeros_like(tokens);
  return moves ? scattered(out, order) : out;
}

at::Tensor run_all(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights) {
  at::Tensor hidden = at::addmm(weights.b1, tokens, weights.w1);
  activate(weights.activation, hidden);
  nn::check_launch(clear_unchosen_on_gpu(hidden.mutable_data_ptr(), choice.const_data_ptr<int64_t>(), hidden.size(0),
                                         row_bytes(hidden), row_bytes(hidden) / weights.learners,
                                         nn::OnGpu(hidden.device()).stream()),
                   "leave out learners");
  if (!weights.b2.defined()) return at::mm(hidden, weights.w2);
  const at::Tensor sums = bias_sums(weights), of_count = at::cat({at::zeros_like(sums.narrow(0, 0, 1)), sums});
  return of_count.index_select(0, choice).addmm_(hidden, weights.w2);
}

}  // namespace

at::Tensor run_chosen_learners_on_gpu(const at::Tensor& tokens, const at::Tensor& choice,
                                      const LearnerWeights& weights) {
  const at::ScalarType type = product_type(tokens);
  const bool in_order = weights.w1.size(1) >= least_hidden_to_order(type);
  return (in_order ? run_in_order : run_all)(tokens.to(type).contiguous(), choice.contiguous(),
                                             converted(weights, type));
}

at::Tensor best_class_on_gpu(const at::Tensor& logits, int64_t least) {
  const at::Tensor values = logits.contiguous(),
                   best = at::empty(logits.sizes().slice(0, logits.dim() - 1), logits.options().dtype(at::kLong));
  nn::check_launch(choose_on_gpu(values.const_data_ptr<float>(), best.numel(), values.size(-1), least,
                                 best.mutable_data_ptr<int64_t>(), nn::OnGpu(logits.device()).stream()),
                   "choose learners");
  return best;
}

}  // namespace acm
