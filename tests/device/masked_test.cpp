// Masked learners by products of our own: on a GPU, or on the CPU where the kernels are built without CUDA (emulated/).
#include "acm/masked_on_gpu.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "acm/cuda/masked_products.h"
#include "acm/mixed_on_gpu.h"
#include "core/random.h"
#include "device/gated_layers.h"
#include "device/nothing_is_zero_by_chance.h"
#include "device/test_device.h"
#include "nn/autocast.h"
#include "unit/acm/masked_reference.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

constexpr int64_t kSamples = 3;
// More rows than a tile has; a cluster of a large GPU then gets several tiles.
int64_t tokens_of_sample() { return test_device().is_cpu() ? 50 : 3000; }

struct MaskedCase {
  size_t sites;
  int64_t width, learners, learner_width, units, min_k = 0;
  Activation activation = Activation::kGelu;
  friend std::ostream& operator<<(std::ostream& to, const MaskedCase& c) {
    return to << c.sites << " sites, width " << c.width << ", " << c.learners << " learners of " << c.learner_width
              << ", gate of " << c.units << ", from " << c.min_k << ", " << to_string(c.activation);
  }
};

// With numbers of gates and learners as bfloat16 has them.
Layers rounded_layers(const MaskedCase& c, at::Device device) {
  Layers layers;
  for (size_t site = 0; site < c.sites; ++site) {
    const auto layer = test::random_layer({c.width, c.learners, c.learner_width, c.min_k, c.activation, false},
                                          at::kFloat, 20 + 10 * site);
    layer->add_gate({.hidden = c.units});
    layer->gate()->initialise(StreamKey(4 + site));
    for (const at::Tensor& one : {layer->w1, layer->b1, layer->w2, layer->gate()->layer_parameters()[0]})
      one.detach().copy_(one.detach().to(at::kBFloat16));
    layer->to(device);
    layers.push_back(layer);
  }
  return layers;
}

at::Tensor rounded_tokens(int64_t width) {
  return random_tensor({kSamples, tokens_of_sample(), width}, at::kFloat, 2).to(at::kBFloat16).to(at::kFloat);
}

// Layers and tokens on the device.
struct There {
  Layers layers;
  at::Tensor tokens;
  explicit There(const MaskedCase& c)
      : layers(rounded_layers(c, test_device())), tokens(rounded_tokens(c.width).to(test_device())) {}
  bool has_own() const { return has_own_masked_products(at::kBFloat16, sites_of(layers).front()); }
  std::vector<GatedPass> run(KeptTensors& kept, const std::vector<at::Tensor>& choices = {},
                             int64_t samples = kSamples) const {
    const nn::Autocast autocast(test_device(), true);
    return run_masked_on_gpu(tokens.narrow(0, 0, samples), sites_of(layers), kept, choices);
  }
};

class MaskedOnAGpu : public testing::TestWithParam<MaskedCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, MaskedOnAGpu,
                         testing::Values(MaskedCase{1, 32, 4, 16, 5}, MaskedCase{3, 224, 8, 8, 19, 1},
                                         MaskedCase{2, 64, 4, 64, 32}, MaskedCase{3, 32, 3, 64, 1, 1},
                                         MaskedCase{2, 1056, 2, 32, 9}, MaskedCase{1, 256, 16, 40, 24},
                                         MaskedCase{2, 32, 8, 8, 16, 0, Activation::kIdentity}));

TEST_P(MaskedOnAGpu, RunsWhatGatesChooseOrWhatIsGiven) {
  const at::NoGradGuard no_grad;
  const NothingIsZeroByChance nan;
  const MaskedCase& c = GetParam();
  const Layers reference = rounded_layers(c, at::kCPU);
  const There there(c);
  const auto sites = static_cast<int64_t>(c.sites);
  const at::Tensor tokens = rounded_tokens(c.width),
                   given = test::random_choice(sites * kSamples * tokens_of_sample(), c.learners, 7)
                               .view({sites, kSamples, tokens_of_sample()});
  if (!has_masked_products({c.width, c.learners, c.learner_width}))
    GTEST_SKIP() << "a GPU of another compute capability than 9.0";
  ASSERT_TRUE(there.has_own());
  KeptTensors kept;
  const auto given_there = given.to(test_device()).unbind(0);
  const auto check = [&](bool gives) {
    const int64_t before = host_syncs();
    const auto run = [&] { return there.run(kept, gives ? given_there : std::vector<at::Tensor>()); };
    const auto passes = run(), again = run();
    EXPECT_EQ(host_syncs(), before);
    ASSERT_EQ(passes.size(), c.sites);
    for (size_t site = 0; site < c.sites; ++site) {
      const at::Tensor logits = passes[site].logits.cpu(), choice = passes[site].choice.cpu();
      EXPECT_LT(relative_difference(logits, reference[site]->gate()->forward(tokens)), 2e-6) << site;
      EXPECT_TRUE(choice.equal(best_class(logits, c.min_k))) << site;
      const at::Tensor ran = gives ? given[static_cast<int64_t>(site)] : choice,
                       expected =
                           test::masked_reference(*reference[site], tokens.view({-1, c.width}), ran.reshape({-1}));
      const at::Tensor found = passes[site].output.cpu().to(at::kFloat);
      // Hidden units and outputs are rounded: each by half of 2^-8 at most.
      EXPECT_LT(relative_difference(found, expected.view(tokens.sizes())), 4e-3) << site;
      EXPECT_TRUE(found.index({ran.eq(0)}).eq(0).all().item<bool>());
      EXPECT_TRUE(again[site].output.equal(passes[site].output));
    }
  };
  check(false);
  check(true);
  // Parameters that changed are laid out anew.
  const auto change = [&](const std::function<void(AcmLayer&)>& how) {
    for (const Layers& layers : {reference, there.layers}) how(*layers.back());
    check(false);
  };
  change([](AcmLayer& layer) { layer.w2.detach().mul_(2); });
  change([](AcmLayer& layer) { layer.gate()->layer_parameters()[1].detach().mul_(3); });
}

TEST(MaskedOnAGpu, RunsNoneOfFewerThanNoneAndAllOfMoreThanThereAre) {
  const at::NoGradGuard no_grad;
  const NothingIsZeroByChance nan;
  const MaskedCase c{1, 32, 4, 16, 5};
  const There there(c);
  if (!there.has_own()) GTEST_SKIP() << "a GPU of another compute capability than 9.0";
  KeptTensors kept;
  const auto run = [&](int64_t count) {
    const at::Tensor choice = at::full({kSamples, tokens_of_sample()}, count, there.tokens.options().dtype(at::kLong));
    return there.run(kept, {choice}).front().output.cpu();
  };
  EXPECT_TRUE(run(-1).equal(run(0)));
  EXPECT_TRUE(run(c.learners + 1).equal(run(c.learners)));
  EXPECT_FALSE(run(c.learners).equal(run(c.learners - 1)));
}

TEST(MaskedOnAGpu, RunsNoTokensAndThenSome) {
  const at::NoGradGuard no_grad;
  const NothingIsZeroByChance nan;
  const MaskedCase c{2, 32, 4, 16, 5};
  const There there(c);
  KeptTensors kept, fresh;
  const auto none = there.run(kept, {}, 0);
  ASSERT_EQ(none.size(), c.sites);
  EXPECT_EQ(none.back().output.sizes(), there.tokens.narrow(0, 0, 0).sizes());
  EXPECT_EQ(none.back().choice.numel(), 0);
  EXPECT_TRUE(there.run(kept).back().output.equal(there.run(fresh).back().output));
}

}  // namespace
}  // namespace acm
