// A gated site of which all learners run, by the kernels for GPUs: on a GPU, or on the CPU where they are built without
// CUDA (emulated/).
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "acm/mixed_on_gpu.h"
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
  friend std::ostream& operator<<(std::ostream& to, const MixedCase& c) {
    return to << c.learner_width << " units, " << to_string(c.activation) << (c.output_bias ? ", bias" : "")
              << (c.bfloat16 ? ", bfloat16" : "") << ", from " << c.min_k << ", gate of " << c.gate.hidden << " "
              << to_string(c.gate.activation) << (c.task_gradient ? "" : ", of counts alone") << ", " << c.learners
              << " learners";
  }
};

class MixedOnAGpu : public testing::TestWithParam<MixedCase> {
 protected:
  std::shared_ptr<AcmLayer> layer(at::ScalarType type) const {
    const MixedCase& c = GetParam();
    const auto made =
        test::random_layer({kWidth, c.learners, c.learner_width, c.min_k, c.activation, c.output_bias}, type);
    made->add_gate(c.gate);
    made->gate()->initialise(StreamKey(4));
    return made;
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
                    MixedCase{8, Activation::kGelu, true, false, 1, {}, true, 1}));

// A pass with its gradients, on the host in float64.
struct Trained {
  at::Tensor choice;
  std::vector<at::Tensor> numbers;  // output, logits, mixture, and the gradients of tokens and parameters
};

template <class Run>
Trained train(AcmLayer& layer, bool bfloat16, Run run) {
  const at::TensorOptions as = layer.w1.options();
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2).to(as).requires_grad_();
  GatedPass pass;
  {
    const nn::Autocast autocast(as.device(), bfloat16);
    pass = run(tokens);
  }
  const auto weighted = [](const at::Tensor& of, uint64_t seed) {
    return (of.to(at::kFloat) * random_tensor(of.sizes(), at::kFloat, seed).to(of.device())).sum();
  };
  (weighted(pass.output, 9) + weighted(pass.mixture, 10)).backward();
  Trained trained{pass.choice.cpu(), {pass.output, pass.logits, pass.mixture, tokens.grad()}};
  for (const at::Tensor& parameter : layer.parameters()) trained.numbers.push_back(parameter.grad());
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
  const auto reference = layer(at::kDouble), there = layer(at::kFloat);
  there->to(test_device());
  const Trained expected = train(*reference, false, [&](const at::Tensor& tokens) {
    nn::Recorder recorder(kSite + 1, nn::Recorder::Keep::kChoices);
    nn::TokenContext context;
    context.positions = positions();
    context.noise = noise;
    context.training = true;
    context.gate_task_gradient = c.task_gradient;
    context.recorder = &recorder;
    context.site = kSite;
    const at::Tensor output = reference->forward(tokens, context);
    const nn::SiteRecord& record = recorder.at(kSite);
    return GatedPass{output, record.logits, record.mixture, record.choice};
  });
  const at::Tensor keys = nn::token_streams(noise, positions(), kSite, test_device());
  const Trained found = train(*there, c.bfloat16, [&](const at::Tensor& tokens) {
    const GatedPass pass =
        run_mixture_on_gpu(tokens, there->weights(), *there->gate(), c.min_k, {keys, c.task_gradient});
    EXPECT_EQ(pass.output.scalar_type(), c.bfloat16 ? at::kBFloat16 : at::kFloat);
    EXPECT_FALSE(pass.logits.requires_grad());
    return pass;
  });
  ASSERT_TRUE(found.choice.equal(expected.choice));
  ASSERT_EQ(found.numbers.size(), expected.numbers.size());
  for (size_t i = 0; i < expected.numbers.size(); ++i)
    EXPECT_LT(relative_difference(found.numbers[i], expected.numbers[i]), bound()) << i;
}

TEST_P(MixedOnAGpu, TrainsLearnersWhereNobodyReadsTheMixture) {
  const auto there = layer(at::kFloat);
  there->to(test_device());
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kFloat, 2).to(test_device());
  const at::Tensor keys = nn::token_streams(StreamKey(8), positions(), 3, test_device());
  run_mixture_on_gpu(tokens, there->weights(), *there->gate(), GetParam().min_k, {keys, false}).output.sum().backward();
  EXPECT_GT(there->w1.grad().abs().sum().item<double>(), 0);
  for (const at::Tensor& of_gate : there->gate()->parameters()) EXPECT_EQ(of_gate.grad().abs().sum().item<double>(), 0);
}

TEST_P(MixedOnAGpu, RunsWhatTheGateChoosesOrWhatIsGiven) {
  const at::NoGradGuard no_grad;
  const auto reference = layer(at::kDouble), there = layer(at::kFloat);
  there->to(test_device());
  const at::Tensor tokens = random_tensor({kSamples, kTokens, kWidth}, at::kDouble, 2),
                   rows = tokens.view({-1, kWidth}), logits = reference->gate()->forward(tokens);
  const at::Tensor given = test::random_choice(kSamples * kTokens, GetParam().learners, 7).view({kSamples, kTokens});
  const nn::Autocast autocast(test_device(), GetParam().bfloat16);
  const at::Tensor tokens_there = tokens.to(test_device(), at::kFloat);
  KeptTensors kept, gate_kept;
  const auto run = [&](const at::Tensor& wanted) {
    const int64_t before = host_syncs();
    const GatedPass pass =
        run_masked_on_gpu(tokens_there, there->weights(), *there->gate(), GetParam().min_k, kept, wanted);
    EXPECT_EQ(host_syncs(), before);
    const at::Tensor choice = pass.choice.cpu();
    EXPECT_LT(relative_difference(pass.logits.cpu().to(at::kDouble), logits), bound());
    EXPECT_TRUE(choice.equal(best_class(pass.logits.cpu(), GetParam().min_k)));
    const at::Tensor expected =
        test::masked_reference(*reference, rows, (wanted.defined() ? given : choice).view({-1})).view(tokens.sizes());
    EXPECT_LT(relative_difference(pass.output.cpu().to(at::kDouble), expected), bound());
  };
  run({});
  run(given.to(test_device()));
  const auto alone = run_gate_on_gpu(tokens_there, *there->gate(), GetParam().min_k, gate_kept);
  EXPECT_LT(relative_difference(alone.logits.cpu().to(at::kDouble), logits), bound());
  EXPECT_TRUE(alone.choice.cpu().equal(best_class(alone.logits.cpu(), GetParam().min_k)));
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
