// Mixed execution by the kernels for GPUs: on a GPU, or on the CPU where they are built without CUDA (emulated/).
#include <gtest/gtest.h>

#include <vector>

#include "acm/mixed_execution.h"
#include "acm/mixed_on_gpu.h"
#include "device/test_device.h"
#include "nn/autocast.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;

using Run = decltype(run_mixed_learners);

// The output, and the gradients of its sum weighted by random numbers, with respect to tokens, shares and weights; all
// on the host in float64.
std::vector<at::Tensor> output_and_gradients(Run& run, AcmLayer& layer, const at::Tensor& tokens,
                                             const at::Tensor& shares, bool bfloat16) {
  const at::TensorOptions as = layer.w1.options();
  const at::Tensor token_leaf = tokens.to(as).detach().requires_grad_();
  const at::Tensor share_leaf = shares.to(as).detach().requires_grad_();
  layer.zero_grad();
  at::Tensor output;
  {
    const nn::Autocast autocast(as.device(), bfloat16);
    output = run(token_leaf, share_leaf, layer.weights());
  }
  EXPECT_EQ(output.scalar_type(), bfloat16 ? at::kBFloat16 : c10::typeMetaToScalarType(as.dtype()));
  (output * random_tensor(output.sizes(), at::kDouble, 9).to(as.device(), output.scalar_type())).sum().backward();
  std::vector<at::Tensor> all = {output.detach(), token_leaf.grad(), share_leaf.grad()};
  for (const at::Tensor& parameter : layer.parameters()) all.push_back(parameter.grad());
  for (at::Tensor& one : all) one = one.to(at::kCPU, at::kDouble, false, true);
  return all;
}

struct MixedCase {
  int64_t learner_width;
  Activation activation;
  bool output_bias, bfloat16;
  friend std::ostream& operator<<(std::ostream& to, const MixedCase& c) {
    return to << c.learner_width << " units, " << to_string(c.activation) << (c.output_bias ? ", bias" : "")
              << (c.bfloat16 ? ", bfloat16" : "");
  }
};

class MixedOnAGpu : public testing::TestWithParam<MixedCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, MixedOnAGpu,
                         testing::Values(MixedCase{3, Activation::kGelu, true, false},
                                         MixedCase{40, Activation::kGelu, false, false},
                                         MixedCase{160, Activation::kIdentity, true, false},
                                         MixedCase{24, Activation::kGelu, true, true},
                                         MixedCase{5, Activation::kIdentity, false, true}));

TEST_P(MixedOnAGpu, HasTheOutputAndGradientsOfFloat64) {
  constexpr int64_t kRows = 37, kWidth = 6, kLearners = 3;
  const MixedCase c = GetParam();
  const AcmShape shape{kWidth, kLearners, c.learner_width, 0, c.activation, c.output_bias};
  const at::Tensor tokens = random_tensor({kRows, kWidth}, at::kDouble, 2);
  const at::Tensor shares = random_tensor({kRows, kLearners}, at::kDouble, 3);
  const auto reference = test::random_layer(shape, at::kDouble), layer = test::random_layer(shape, at::kFloat);
  layer->to(test_device());
  const auto expected = output_and_gradients(run_mixed_learners, *reference, tokens, shares, false);
  const auto found = output_and_gradients(run_mixed_learners_on_gpu, *layer, tokens, shares, c.bfloat16);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_LT(test::relative_difference(found[i], expected[i]), c.bfloat16 ? 2e-2 : 1e-5) << i;
}

}  // namespace
}  // namespace acm
