// LayerNorm after a residual sum by the kernels for GPUs: on a GPU, or on the CPU where they are built without CUDA
// (emulated/).
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <vector>

#include "device/test_device.h"
#include "nn/autocast.h"
#include "nn/norm_on_gpu.h"
#include "unit/acm/random_layer.h"

namespace acm::nn {
namespace {

using test::random_tensor;

constexpr double kEps = 1e-6;

enum class Use { kBoth, kSum, kNormalised };  // what has a part in the value whose gradients are found

struct NormCase {
  int64_t rows, width;
  bool adds, bfloat16;  // an update; autocast
  at::ScalarType update_type = at::kFloat;
  Use use = Use::kBoth;
  friend std::ostream& operator<<(std::ostream& to, const NormCase& c) {
    to << c.rows << " x " << c.width << (c.bfloat16 ? ", bfloat16" : "");
    if (c.adds) to << ", update " << c10::toString(c.update_type) << ", use " << static_cast<int>(c.use);
    return to;
  }
};

// On the host; tokens [samples, tokens, width], as a model's.
struct Inputs {
  explicit Inputs(const NormCase& c)
      : tokens(random_tensor({1, c.rows, c.width}, at::kDouble, 2).to(at::kFloat) + 3),
        weight(random_tensor({c.width}, at::kDouble, 3).to(at::kFloat)),
        bias(random_tensor({c.width}, at::kDouble, 4).to(at::kFloat)) {
    if (c.adds) update = random_tensor({1, c.rows, c.width}, at::kDouble, 5).to(c.update_type);
  }
  at::Tensor tokens, weight, bias, update;
};

at::Tensor leaf(const at::Tensor& values, const at::TensorOptions& as) {
  return values.defined() ? values.to(as).detach().clone().requires_grad_() : values;
}

at::Tensor weighted_sum(const at::Tensor& values, uint64_t seed) {
  return (values * random_tensor(values.sizes(), at::kDouble, seed).to(at::kBFloat16).to(values.options())).sum();
}

// Sum and what is normalised, and the gradients of a weighted sum of what is used; all on the host in float64.
std::vector<at::Tensor> outputs_and_gradients(const NormCase& c, const LayerNorm::OfSum& of,
                                              const std::vector<at::Tensor>& leaves) {
  at::Tensor value = c.use == Use::kSum ? weighted_sum(of.sum, 8) : weighted_sum(of.normalised, 9);
  if (c.use == Use::kBoth && c.adds) value = value + weighted_sum(of.sum, 8);
  value.backward();
  std::vector<at::Tensor> all = {of.sum.detach(), of.normalised.detach()};
  for (const at::Tensor& one : leaves)
    if (one.defined() && one.grad().defined()) all.push_back(one.grad());
  for (at::Tensor& one : all) one = one.to(at::kCPU, at::kDouble, false, true);
  return all;
}

std::vector<at::Tensor> expected(const NormCase& c, const Inputs& in) {
  const at::Tensor tokens = leaf(in.tokens, at::kDouble), update = leaf(in.update, at::kDouble);
  LayerNorm norm(c.width, kEps);
  norm.to(at::kDouble);
  norm.weight.data().copy_(in.weight);
  norm.bias.data().copy_(in.bias);
  return outputs_and_gradients(c, norm.forward_sum(tokens, update), {tokens, update, norm.weight, norm.bias});
}

std::vector<at::Tensor> found(const NormCase& c, const Inputs& in) {
  const at::TensorOptions there = test_device();
  const at::Tensor tokens = leaf(in.tokens, there), update = leaf(in.update, there.dtype(c.update_type)),
                   weight = leaf(in.weight, there), bias = leaf(in.bias, there);
  LayerNorm::OfSum of;
  {
    const Autocast autocast(there.device(), c.bfloat16);
    of = norm_of_sum_on_gpu(tokens, update, weight, bias, kEps);
    const at::NoGradGuard no_grad;
    const LayerNorm::OfSum again = norm_of_sum_on_gpu(tokens, update, weight, bias, kEps);
    EXPECT_TRUE(again.sum.equal(of.sum) && again.normalised.equal(of.normalised) && !again.sum.grad_fn());
  }
  EXPECT_EQ(of.sum.scalar_type(), at::kFloat);
  EXPECT_EQ(of.normalised.scalar_type(), c.bfloat16 ? at::kBFloat16 : at::kFloat);
  return outputs_and_gradients(c, of, {tokens, update, weight, bias});
}

class NormOnAGpu : public testing::TestWithParam<NormCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, NormOnAGpu,
                         testing::Values(NormCase{37, 6, true, false}, NormCase{37, 6, true, true, at::kHalf},
                                         NormCase{1, 40, false, false}, NormCase{100, 192, true, true, at::kBFloat16},
                                         NormCase{37, 192, false, true}, NormCase{37, 768, true, true, at::kBFloat16},
                                         NormCase{37, 768, true, false},
                                         NormCase{37, 768, true, true, at::kFloat, Use::kNormalised},
                                         NormCase{37, 768, true, true, at::kBFloat16, Use::kSum},
                                         NormCase{37, 768, true, false, at::kFloat, Use::kNormalised},
                                         NormCase{37, 1000, true, false}, NormCase{3, 1200, true, true, at::kBFloat16},
                                         NormCase{2, 2500, true, false}, NormCase{2, 1201, true, true, at::kBFloat16},
                                         NormCase{0, 40, true, false}));

TEST_P(NormOnAGpu, HasTheOutputsAndGradientsOfFloat64) {
  const NormCase c = GetParam();
  const Inputs in(c);
  const auto of_float64 = expected(c, in), of_kernels = found(c, in);
  ASSERT_EQ(of_kernels.size(), of_float64.size());
  for (size_t i = 0; i < of_float64.size(); ++i) {
    if (c.rows == 0 && of_kernels[i].numel() == 0) continue;
    EXPECT_LT(test::relative_difference(of_kernels[i], of_float64[i]), c.bfloat16 ? 1e-2 : 1e-5) << i;
  }
}

// Tokens whose mean is far from zero lose no digits of their variance.
TEST(NormOnAGpu, SubtractsTheMeanFirst) {
  const NormCase c{2, 768, false, false};
  Inputs in(c);
  in.tokens = in.tokens.add(1000).round();
  EXPECT_LT(test::relative_difference(found(c, in)[1], expected(c, in)[1]), 1e-5);
}

}  // namespace
}  // namespace acm::nn
