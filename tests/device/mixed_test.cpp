// A gated site of which all learners run, by the kernels for GPUs: on a GPU, or on the CPU where they are built without
// CUDA (emulated/).
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "acm/mixed_on_gpu.h"
#include "device/gated_layers.h"
#include "device/test_device.h"
#include "nn/autocast.h"
#include "nn/random_tensor.h"
#include "unit/acm/masked_reference.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

constexpr int64_t kSamples = 4, kTokens = 37, kWidth = 16;

struct MixedCase {
  int64_t learner_width;
  Activation activation;
  bool output_bias, bfloat16;
  int64_t min_k = 0;
  GateConfig gate = {};
  bool task_gradient = true;
  int64_t learners = 3;
  size_t sites = 1;
  uint64_t gate_seed = 4;  // with bfloat16 one of gates whose two best choices lie farther apart than it rounds
  friend std::ostream& operator<<(std::ostream& to, const MixedCase& c) {
    return to << c.learner_width << " units, " << to_string(c.activation) << (c.output_bias ? ", bias" : "")
              << (c.bfloat16 ? ", bfloat16" : "") << ", from " << c.min_k << ", gate of " << c.gate.hidden << " "
              << to_string(c.gate.activation) << (c.task_gradient ? "" : ", of counts alone") << ", " << c.learners
              << " learners, " << c.sites << " sites";
  }
};

class MixedOnAGpu : public testing::TestWithParam<MixedCase> {
 protected:
  Layers layers(at::ScalarType type, at::Device device = at::kCPU) const {
    const MixedCase& c = GetParam();
    Layers all;
    for (size_t site = 0; site < c.sites; ++site) {
      const auto made = test::random_layer({kWidth, c.learners, c.learner_width, c.min_k, c.activation, c.output_bias},
                                           type, 20 + 10 * site);
      made->add_gate(c.gate);
      made->gate()->initialise(StreamKey(c.gate_seed + site));
      made->to(device);
      all.push_back(made);
    }
    return all;
  }
  double bound() const { return GetParam().bfloat16 ? 2e-2 : 1e-5; }
};

INSTANTIATE_TEST_SUITE_P(
    Shapes, MixedOnAGpu,
    testing::Values(MixedCase{3, Activation::kGelu, true, false}, MixedCase{40, Activation::kGelu, false, false, 1},
                    MixedCase{160, Activation::kIdentity, true, false, 1, {.hidden = 16}},
                    MixedCase{24, Activation::kGelu, true, false, 0, {.activation = Activation::kIdentity}},
                    MixedCase{8, Activation::kIdentity, true, false, 0, {.temperature = 0.3}, false},
                    MixedCase{24, Activation::kGelu, true, true, 0, {.hidden = 64}},
                    MixedCase{5, Activation::kIdentity, false, true, 1, {.hidden = 3}},
                    MixedCase{4, Activation::kGelu, true, false, 1, {.hidden = 100}, true, 16},
                    MixedCase{8, Activation::kGelu, true, false, 1, {}, true, 1},
                    MixedCase{24, Activation::kIdentity, true, true, 1, {.hidden = 64}, true, 3, 3, 74},
                    MixedCase{5, Activation::kGelu, false, false, 1, {.hidden = 3}, true, 4, 3},
                    MixedCase{8, Activation::kGelu, true, false, 0, {.hidden = 40}, false, 3, 2},
                    // Units that take several slices, the last of which is shorter.
                    MixedCase{97, Activation::kGelu, true, false, 1, {}, true, 2, 2},
                    MixedCase{800, Activation::kGelu, true, true, 0, {.hidden = 16}, true, 2}));

// A pass with its gradients, on the host in float64.
struct Trained {
  std::vector<at::Tensor> choice;
  // The gradients of tokens; of each site output, logits and mixture, and the gradients of parameters.
  std::vector<at::Tensor> numbers;
};

// Of what a pass gave, from which losses come.
enum class Read { kAll, kOutputs, kMixtures };

template <class Run>
Trained train(const Layers& layers, bool bfloat16, Read read, Run run) {
  const at::TensorOptions as = layers.front()->w1.options();
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2).to(as).requires_grad_();
  std::vector<GatedPass> passes;
  {
    const nn::Autocast autocast(as.device(), bfloat16);
    passes = run(tokens);
  }
  at::Tensor loss = at::zeros({}, as);
  const auto add = [&](const at::Tensor& of, uint64_t seed) {
    loss = loss + (of.to(at::kFloat) * random_tensor(of.sizes(), at::kFloat, seed).to(of.device())).sum();
  };
  for (size_t site = 0; site < passes.size(); ++site) {
    if (read != Read::kMixtures) add(passes[site].output, 9 + 2 * site);
    if (read != Read::kOutputs) add(passes[site].mixture, 10 + 2 * site);
  }
  loss.backward();
  Trained trained{{}, {tokens.grad()}};
  for (const GatedPass& pass : passes) {
    trained.choice.push_back(pass.choice.cpu());
    for (const at::Tensor& one : {pass.output, pass.logits, pass.mixture}) trained.numbers.push_back(one);
  }
  for (const auto& layer : layers)
    for (at::Tensor parameter : layer->parameters()) {
      const at::Tensor gradient = parameter.grad();
      trained.numbers.push_back(gradient.defined() ? gradient : at::zeros_like(parameter));
      parameter.mutable_grad().reset();
    }
  for (at::Tensor& one : trained.numbers) one = one.detach().to(at::kCPU, at::kDouble);
  return trained;
}

const at::Tensor& positions() {
  static const at::Tensor positions = at::arange(5, 5 + kSamples, at::kLong);
  return positions;
}

TEST_P(MixedOnAGpu, HasTheOutputAndGradientsOfFloat64) {
  const MixedCase c = GetParam();
  const StreamKey noise(8);
  constexpr size_t kSite = 3;
  const Layers reference = layers(at::kDouble), there = layers(at::kFloat, test_device());
  const at::Tensor keys = nn::token_streams(noise, positions(), kSite, c.sites, test_device());
  const auto one_by_one = [&](const at::Tensor& tokens) {
    nn::Recorder recorder(kSite + c.sites, nn::Recorder::Keep::kChoices);
    nn::TokenContext context;
    context.positions = positions();
    context.noise = noise;
    context.training = true;
    context.gate_task_gradient = c.task_gradient;
    context.recorder = &recorder;
    std::vector<GatedPass> passes;
    for (context.site = kSite; context.site < kSite + c.sites; ++context.site) {
      const at::Tensor output = reference[context.site - kSite]->forward(tokens, context);
      const nn::SiteRecord& record = recorder.at(context.site);
      passes.push_back({output, record.logits, record.mixture, record.choice});
    }
    return passes;
  };
  const auto together = [&](const at::Tensor& tokens) {
    const auto passes = run_mixture_on_gpu(tokens, sites_of(there), {keys, c.task_gradient});
    for (const GatedPass& pass : passes) {
      EXPECT_EQ(pass.output.scalar_type(), c.bfloat16 ? at::kBFloat16 : at::kFloat);
      EXPECT_FALSE(pass.logits.requires_grad());
    }
    return passes;
  };
  for (const Read read : {Read::kAll, Read::kOutputs, Read::kMixtures}) {
    SCOPED_TRACE(static_cast<int>(read));
    const Trained expected = train(reference, false, read, one_by_one),
                  found = train(there, c.bfloat16, read, together);
    ASSERT_EQ(found.choice.size(), c.sites);
    for (size_t site = 0; site < c.sites; ++site) ASSERT_TRUE(found.choice[site].equal(expected.choice[site])) << site;
    ASSERT_EQ(found.numbers.size(), expected.numbers.size());
    for (size_t i = 0; i < expected.numbers.size(); ++i)
      EXPECT_LT(relative_difference(found.numbers[i], expected.numbers[i]), bound()) << i;
  }
}

// And leaves the others, and where the loss may not reach them the gates, as they are.
TEST_P(MixedOnAGpu, TrainsTheSiteWhoseOutputIsRead) {
  const Layers there = layers(at::kFloat, test_device());
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kFloat, 2).to(test_device());
  const at::Tensor keys = nn::token_streams(StreamKey(8), positions(), 3, there.size(), test_device());
  run_mixture_on_gpu(tokens, sites_of(there), {keys, false}).front().output.sum().backward();
  const auto size_of = [](const at::Tensor& gradient) { return gradient.abs().sum().item<double>(); };
  for (const auto& layer : there) {
    EXPECT_EQ(size_of(layer->w1.grad()) > 0, layer == there.front());
    for (const at::Tensor& of_gate : layer->gate()->parameters()) EXPECT_EQ(size_of(of_gate.grad()), 0);
  }
}

TEST_P(MixedOnAGpu, RunsWhatGatesChooseOrWhatIsGiven) {
  const at::NoGradGuard no_grad;
  const MixedCase c = GetParam();
  const Layers reference = layers(at::kDouble), there = layers(at::kFloat, test_device());
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2),
                   rows = tokens.view({-1, kWidth});
  const auto count = static_cast<int64_t>(c.sites);
  const at::Tensor given =
      test::random_choice(count * kSamples * kTokens, c.learners, 7).view({count, kSamples, kTokens});
  const nn::Autocast autocast(test_device(), c.bfloat16);
  const at::Tensor tokens_there = tokens.to(test_device(), at::kFloat);
  const auto check_decision = [&](const at::Tensor& logits, const at::Tensor& choice, size_t site) {
    EXPECT_LT(relative_difference(logits.cpu().to(at::kDouble), reference[site]->gate()->forward(tokens)), bound());
    EXPECT_TRUE(choice.cpu().equal(best_class(logits.cpu(), c.min_k)));
  };
  KeptTensors kept;
  const auto run = [&](const std::vector<at::Tensor>& wanted) {
    const int64_t before = host_syncs();
    const auto passes = run_masked_on_gpu(tokens_there, sites_of(there), kept, wanted);
    EXPECT_EQ(host_syncs(), before);
    ASSERT_EQ(passes.size(), c.sites);
    for (size_t site = 0; site < c.sites; ++site) {
      const GatedPass& pass = passes[site];
      check_decision(pass.logits, pass.choice, site);
      const at::Tensor ran = wanted.empty() ? pass.choice.cpu() : given[static_cast<int64_t>(site)];
      const at::Tensor expected =
          test::masked_reference(*reference[site], rows, ran.reshape({-1})).view(tokens.sizes());
      EXPECT_LT(relative_difference(pass.output.cpu().to(at::kDouble), expected), bound()) << site;
    }
  };
  run({});
  run(given.to(test_device()).unbind(0));
  // Weights that changed are laid out anew.
  for (const Layers& layers : {reference, there}) layers.back()->w2.detach().mul_(2);
  run({});
  for (size_t site = 0; site < c.sites; ++site) {
    KeptTensors of_gate;
    const auto alone = run_gate_on_gpu(tokens_there, *there[site]->gate(), c.min_k, of_gate);
    check_decision(alone.logits, alone.choice, site);
  }
}

// Through the layers, whichever way they run.
TEST(MixedOnAGpu, GivesTogetherWhatLayersGiveAlone) {
  const at::NoGradGuard no_grad;
  constexpr size_t kFirst = 2, kSites = 3;
  std::vector<std::shared_ptr<nn::TokenModule>> layers;
  std::vector<nn::TokenModule*> modules;
  for (uint64_t site = 0; site < kSites; ++site) {
    const auto made = test::random_layer({kWidth, 3, 8, 1, Activation::kGelu, true}, at::kFloat, 20 + site);
    made->add_gate({});
    made->gate()->initialise(StreamKey(30 + site));
    made->to(test_device());
    modules.push_back(layers.emplace_back(made).get());
  }
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kFloat, 2).to(test_device());
  for (const bool training : {true, false}) {
    nn::Recorder together(kFirst + kSites, nn::Recorder::Keep::kChoices), alone = together;
    nn::TokenContext context;
    context.positions = positions();
    context.noise = StreamKey(8);
    context.training = training;
    context.recorder = &together;
    context.site = kFirst;
    context.noise_keys = nn::token_streams(context.noise, positions(), 0, kFirst + kSites, test_device());
    const auto outputs = modules.front()->forward_together(modules, tokens, context);
    ASSERT_EQ(outputs.size(), kSites);
    context.recorder = &alone;
    context.noise_keys = at::Tensor();
    for (size_t i = 0; i < kSites; ++i) {
      context.site = kFirst + i;
      const at::Tensor output = modules[i]->forward(tokens, context);
      EXPECT_LT(relative_difference(outputs[i].cpu(), output.cpu()), 1e-5);
      const nn::SiteRecord &found = together.at(kFirst + i), &expected = alone.at(kFirst + i);
      EXPECT_TRUE(found.choice.equal(expected.choice));
      EXPECT_LT(relative_difference(found.logits.cpu(), expected.logits.cpu()), 1e-5);
      EXPECT_EQ(found.mixture.defined(), training);
      EXPECT_TRUE(!training || found.mixture.equal(expected.mixture));
    }
  }
}

TEST(DecidedOnAGpu, IsTheFirstOfTheLargestAndWhatIsNoNumber) {
  const at::NoGradGuard no_grad;
  Gate gate(8, 5, {});
  const auto layers = gate.layer_parameters();  // zeros: the logits are the last bias
  const at::Tensor tokens = random_tensor({1, 3, 8}, at::kFloat, 2).to(test_device());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& [logits, best] : std::vector<std::pair<std::vector<float>, int64_t>>{
           {{1, 1, 1, 1, 1}, 0}, {{0, 2, 1, 2, 0}, 1}, {{0, 9, nan, 1, nan}, 2}, {{-3, -2, -2, -1, -1}, 3}}) {
    std::copy(logits.begin(), logits.end(), layers[3].mutable_data_ptr<float>());
    Gate there(8, 5, {});
    there.layer_parameters()[3].copy_(layers[3]);
    there.to(test_device());
    KeptTensors kept;
    EXPECT_TRUE(run_gate_on_gpu(tokens, there, 1, kept).choice.cpu().eq(best + 1).all().item<bool>());
  }
}

}  // namespace
}  // namespace acm
