// Kernels of the passes without gradients, each beside what LibTorch offers for the same thing. Sizes are those of
// ViT-Ti and ViT-B at 224 with 8 images (1576 tokens), and of small blocks of gated tokens.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include "acm/acm_layer.h"
#include "acm/cost.h"
#include "bench/compare.h"
#include "nn/dense.h"
#include "nn/kernels/attention.h"
#include "nn/kernels/bfloat16_product.h"
#include "nn/kernels/feed_forward.h"
#include "nn/kernels/pairs_product.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/vector_math.h"

namespace acm::bench {
namespace {

constexpr int64_t kImages = 8, kTokens = 197, kRows = kImages * kTokens, kLearners = 4;

// to [rows, columns] = a [rows, inner] b [inner, columns]
void product(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t rows = state.range(0), columns = state.range(1), inner = state.range(2);
  const at::Tensor a = noise({rows, inner}), b = noise({inner, columns});
  at::Tensor ours = at::empty({rows, columns}), theirs = at::empty({rows, columns});
  compare(
      state,
      [&] {
        nn::multiply(rows, columns, inner, {a.const_data_ptr<float>(), inner}, {b.const_data_ptr<float>(), columns},
                     ours.mutable_data_ptr<float>(), columns);
      },
      [&] { at::mm_out(theirs, a, b); });
  set_rate(state, "FLOP/s", 2.0 * static_cast<double>(rows * columns * inner));
}
BENCHMARK(product)
    ->UseManualTime()
    ->ArgNames({"rows", "columns", "inner"})
    ->Args({2048, 2048, 2048})
    ->Args({kRows, 192, 192})
    ->Args({kRows, 768, 192})
    ->Args({kRows, 192, 768})
    ->Args({kRows, 768, 768})
    ->Args({kRows, 3072, 768})
    ->Args({kRows, 768, 3072})
    ->Args({50, 192, 192})          // one learner of ViT-Ti's feed-forward network, for a quarter of an image
    ->Args({50, 24, 192})           // one of a projection
    ->Args({kTokens, kTokens, 64})  // attention's weights in one head
    ->Args({kTokens, 64, kTokens});

// The same in bfloat16, by tiles of pairs; the reference is the BLAS's product in bfloat16.
void product_of_pairs(benchmark::State& state) {
  if (!nn::multiplies_pairs()) return state.SkipWithError("this processor multiplies no pairs of bfloat16 numbers");
  const int64_t rows = state.range(0), columns = state.range(1), inner = state.range(2);
  const at::Tensor a = noise({rows, inner}).to(at::kBFloat16), b = noise({inner, columns}).to(at::kBFloat16);
  at::Tensor pairs = at::empty_like(b), ours = at::empty({rows, columns}), theirs = at::empty({rows, columns});
  const auto *left = a.const_data_ptr<c10::BFloat16>(), *right = b.const_data_ptr<c10::BFloat16>();
  nn::lay_out_pairs(right, columns, 1, inner, columns, pairs.mutable_data_ptr<c10::BFloat16>());
  const nn::PairsView view{pairs.const_data_ptr<c10::BFloat16>(), inner, columns};
  compare(
      state,
      [&] {
        nn::multiply_pairs(rows, columns, inner, {left, inner}, view, nullptr,
                           {ours.mutable_data_ptr<float>(), columns});
      },
      [&] {
        nn::multiply(rows, columns, inner, {left, inner}, {right, columns}, theirs.mutable_data_ptr<float>(), columns);
      });
  set_rate(state, "FLOP/s", 2.0 * static_cast<double>(rows * columns * inner));
}
BENCHMARK(product_of_pairs)
    ->UseManualTime()
    ->ArgNames({"rows", "columns", "inner"})
    ->Args({kTokens, 768, 192})
    ->Args({kTokens, 192, 768})
    ->Args({kTokens, 3072, 768})
    ->Args({50, 192, 192})
    ->Args({50, 32, 192});

// The first layer of a gate.
void product_to_few(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t rows = state.range(0), outputs = state.range(1), inner = state.range(2);
  const at::Tensor a = noise({rows, inner}), b = noise({outputs, inner}, 2), bias = noise({outputs}, 3);
  at::Tensor ours = at::empty({rows, outputs});
  compare(
      state,
      [&] {
        nn::multiply_to_few(rows, outputs, inner, a.const_data_ptr<float>(), b.const_data_ptr<float>(),
                            bias.const_data_ptr<float>(), ours.mutable_data_ptr<float>());
      },
      [&] { benchmark::DoNotOptimize(at::linear(a, b, bias)); });
  set_rate(state, "FLOP/s", 2.0 * static_cast<double>(rows * outputs * inner));
}
BENCHMARK(product_to_few)
    ->UseManualTime()
    ->ArgNames({"rows", "outputs", "inner"})
    ->ArgsProduct({{kTokens, kRows}, {4, 5, 8, 10, 16, 19, 32}, {192, 768}});

// [rows, columns] of hidden units, as the first product of a feed-forward network leaves them.
void bias_and_gelu(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t rows = state.range(0), columns = state.range(1);
  at::Tensor ours = noise({rows, columns});
  const at::Tensor theirs = ours.clone(), bias = noise({columns}, 2);
  compare(
      state,
      [&] { nn::add_bias_and_gelu(ours.mutable_data_ptr<float>(), bias.const_data_ptr<float>(), rows, columns); },
      [&] { benchmark::DoNotOptimize(at::gelu(theirs + bias)); });
  set_rate(state, "numbers/s", static_cast<double>(rows * columns));
}

// In place, so that a copy belongs to it: repeated, it would come to numbers too small for full speed.
void gelu(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = noise({state.range(0), state.range(1)});
  at::Tensor ours = at::empty_like(values), theirs = at::empty_like(values);
  compare(
      state, [&] { nn::gelu(ours.copy_(values).mutable_data_ptr<float>(), ours.numel()); },
      [&] { at::gelu_out(theirs, values); });
  set_rate(state, "numbers/s", static_cast<double>(values.numel()));
}

void add_bias(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t rows = state.range(0), columns = state.range(1);
  at::Tensor ours = noise({rows, columns}), theirs = ours.clone();
  const at::Tensor bias = noise({columns}, 2);
  compare(
      state, [&] { nn::add_bias(ours.mutable_data_ptr<float>(), bias.const_data_ptr<float>(), rows, columns); },
      [&] { theirs.add_(bias); });
  set_rate(state, "numbers/s", static_cast<double>(rows * columns));
}

// Ours leaves the division by the sums to what follows the next product.
void exponentials(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t rows = state.range(0), columns = state.range(1), stride = nn::whole_vectors(columns);
  const at::Tensor values = noise({rows, columns});
  at::Tensor ours = noise({rows, stride}), sums = at::empty({rows});
  compare(
      state,
      [&] {
        nn::exponentials(ours.mutable_data_ptr<float>(), sums.mutable_data_ptr<float>(), 0.125f, rows, columns, stride);
      },
      [&] { benchmark::DoNotOptimize(at::softmax(values, -1)); });
  set_rate(state, "numbers/s", static_cast<double>(rows * columns));
}

void hidden_blocks(benchmark::internal::Benchmark* to) {
  to->UseManualTime()->ArgNames({"rows", "columns"})->Args({kTokens, 768})->Args({kTokens, 3072});
}
BENCHMARK(bias_and_gelu)->Apply(hidden_blocks);
BENCHMARK(gelu)->Apply(hidden_blocks);
BENCHMARK(add_bias)->Apply(hidden_blocks);
BENCHMARK(exponentials)->UseManualTime()->ArgNames({"rows", "columns"})->Args({kTokens, kTokens});

void attention(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t width = state.range(0), heads = width / 64;
  const at::Tensor query = noise({kImages, kTokens, width}, 1), key = noise({kImages, kTokens, width}, 2),
                   value = noise({kImages, kTokens, width}, 3);
  const auto by_head = [heads](const at::Tensor& t) { return t.unflatten(-1, {heads, 64}).transpose(1, 2); };
  compare(
      state, [&] { benchmark::DoNotOptimize(nn::attention(query, key, value, heads)); },
      [&] {
        benchmark::DoNotOptimize(
            at::scaled_dot_product_attention(by_head(query), by_head(key), by_head(value)).transpose(1, 2).flatten(2));
      });
  set_rate(state, "FLOP/s", 4.0 * static_cast<double>(kRows * kTokens * width));
}
BENCHMARK(attention)->UseManualTime()->ArgName("width")->Arg(192)->Arg(768);

// The dense feed-forward network by tensor operations.
class ByOperations {
 public:
  explicit ByOperations(int64_t width)
      : w1_(noise({4 * width, width}, 1)),
        b1_(noise({4 * width}, 2)),
        w2_(noise({width, 4 * width}, 3)),
        b2_(noise({width}, 4)) {}
  void run(const at::Tensor& tokens) const {
    benchmark::DoNotOptimize(at::linear(at::gelu(at::linear(tokens, w1_, b1_)), w2_, b2_));
  }

 private:
  at::Tensor w1_, b1_, w2_, b2_;
};

void dense_feed_forward(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t width = state.range(0);
  nn::DenseFeedForward dense(width, 4 * width);
  for (auto& parameter : dense.parameters()) nn::fill_normal(parameter, StreamKey(1), 0.02);
  const at::Tensor tokens = noise({kImages, kTokens, width});
  const ByOperations operations(width);
  nn::TokenContext context;
  compare(
      state, [&] { benchmark::DoNotOptimize(dense.forward(tokens, context)); }, [&] { operations.run(tokens); });
  set_rate(state, "FLOP/s", 2.0 * static_cast<double>(kRows * dense.macs_per_token()));
}
BENCHMARK(dense_feed_forward)->UseManualTime()->ArgName("width")->Arg(192)->Arg(768);

// Tokens that choose k uniformly in the widest range around k/N = percent / 100; the reference is the dense network by
// tensor operations, and "cost" the share of its multiply-accumulates.
void gated_feed_forward(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t width = state.range(0), mean = state.range(1) * kLearners / 100;
  const int64_t spread = std::min(mean, kLearners - mean);
  AcmLayer layer({.width = width,
                  .learners = kLearners,
                  .learner_width = learner_width(nn::SiteKind::kFeedForward, width, 4 * width, kLearners)});
  layer.initialise(StreamKey(1));
  const at::Tensor tokens = noise({kRows, width});
  at::Tensor quantiles = at::empty({kRows}, at::kDouble);
  nn::fill_uniform(quantiles, StreamKey(2), 0, 1);
  const at::Tensor choice = (quantiles * (2 * spread + 1)).to(at::kLong) + (mean - spread);
  const ByOperations operations(width);
  compare(
      state, [&] { benchmark::DoNotOptimize(layer.chosen(tokens, choice)); }, [&] { operations.run(tokens); });
  const auto macs = static_cast<double>(choice.sum().item<int64_t>() * learner_macs_per_token(layer.shape()));
  set_rate(state, "FLOP/s", 2 * macs);
  state.counters["cost"] = macs / static_cast<double>(kRows * 8 * width * width);
}
BENCHMARK(gated_feed_forward)
    ->UseManualTime()
    ->ArgNames({"width", "percent"})
    ->ArgsProduct({{192, 768}, {25, 50, 75, 100}});

}  // namespace
}  // namespace acm::bench
