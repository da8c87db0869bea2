// Forward and backward of one site, as phase 0, 1 and 3 run it, for the tokens of 16 images. The gradients add to those
// that stand, as in training.
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mse_loss.h>

#include "acm/cost.h"
#include "acm/distillation_loss.h"
#include "bench/compare.h"
#include "nn/dense.h"

namespace acm::bench {
namespace {

constexpr int64_t kImages = 16, kTokens = 197, kRows = kImages * kTokens, kLearners = 4;

// What stands at a feed-forward site or in place of a projection, with tokens and what should come out.
struct Site {
  Site(nn::SiteKind kind, int64_t width) : kind(kind), width(width) {
    if (kind == nn::SiteKind::kFeedForward)
      dense = std::make_shared<nn::DenseFeedForward>(width, 4 * width);
    else
      dense = std::make_shared<nn::DenseProjection>(width);
    at::NoGradGuard no_grad;
    for (auto& parameter : dense->parameters()) nn::fill_normal(parameter, StreamKey(1), 0.02);
  }
  std::shared_ptr<AcmLayer> acm() const {
    const bool feed_forward = kind == nn::SiteKind::kFeedForward;
    const auto layer =
        std::make_shared<AcmLayer>(AcmShape{.width = width,
                                            .learners = kLearners,
                                            .learner_width = learner_width(kind, width, 4 * width, kLearners),
                                            .min_k = nn::min_learners(kind),
                                            .activation = feed_forward ? Activation::kGelu : Activation::kIdentity});
    layer->initialise(StreamKey(2));
    return layer;
  }

  nn::SiteKind kind;
  int64_t width;
  std::shared_ptr<nn::TokenModule> dense;
  at::Tensor tokens = noise({kImages, kTokens, width}, 3).requires_grad_(),
             wanted = noise({kImages, kTokens, width}, 4);
};

Site site_of(const benchmark::State& state) {
  return {state.range(1) != 0 ? nn::SiteKind::kFeedForward : nn::SiteKind::kQuery, state.range(0)};
}

// The module's own pass, to its parameters and to its tokens.
void pass(nn::TokenModule& module, const Site& site, nn::TokenContext context = nn::TokenContext()) {
  at::mse_loss(module.forward(site.tokens, context), site.wanted).backward();
}

void sites(benchmark::internal::Benchmark* to) {
  to->UseManualTime()->ArgNames({"width", "ffn"})->ArgsProduct({{192, 768}, {0, 1}});
}

// Phase 0; the reference is the same of LibTorch's operations.
void dense_pass(benchmark::State& state) {
  const Site site = site_of(state);
  std::vector<at::Tensor> weights;
  for (const auto& parameter : site.dense->parameters()) weights.push_back(parameter.detach().clone().requires_grad_());
  compare(
      state, [&] { pass(*site.dense, site); },
      [&] {
        at::Tensor output = at::linear(site.tokens, weights[0], weights[1]);
        if (weights.size() == 4) output = at::linear(at::gelu(output), weights[2], weights[3]);
        at::mse_loss(output, site.wanted).backward();
      });
  set_rate(state, "tokens/s", kRows);
}
BENCHMARK(dense_pass)->Apply(sites);

// Phase 1, all prefixes; the reference is the dense module's pass.
void phase1_pass(benchmark::State& state) {
  const Site site = site_of(state);
  const auto layer = site.acm();
  const at::Tensor rows = site.tokens.detach().view({kRows, -1}), wanted = site.wanted.view({kRows, -1});
  const double scale = 1.0 / static_cast<double>(kLearners * wanted.numel());
  compare(
      state, [&] { distillation_loss(*layer, rows, wanted, Objective::kNested, scale).backward(); },
      [&] { pass(*site.dense, site); });
  set_rate(state, "tokens/s", kRows);
}
BENCHMARK(phase1_pass)->Apply(sites);

// Phase 3: gate, noise, straight-through choice, all learners; the reference is the dense module's pass.
void phase3_pass(benchmark::State& state) {
  const Site site = site_of(state);
  const auto layer = site.acm();
  layer->add_gate({.hidden = 16});
  layer->gate()->initialise(StreamKey(5));
  nn::TokenContext context;
  context.training = true;
  context.positions = at::empty({kImages}, at::kLong).fill_(7);
  compare(
      state, [&] { pass(*layer, site, context); }, [&] { pass(*site.dense, site); });
  set_rate(state, "tokens/s", kRows);
}
BENCHMARK(phase3_pass)->Apply(sites);

}  // namespace
}  // namespace acm::bench
