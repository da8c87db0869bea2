// Errors and gradients of all prefixes by the kernel for GPUs: on a GPU, or on the CPU where it is built without CUDA
// (emulated/).
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "acm/prefixes_on_gpu.h"
#include "device/test_device.h"
#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;
using test::relative_difference;

struct PrefixCase {
  int64_t learners, rows, width;
  bool output_bias, nested;
  at::ScalarType target;
  friend std::ostream& operator<<(std::ostream& to, const PrefixCase& c) {
    return to << c.learners << " learners, " << c.rows << " x " << c.width << (c.output_bias ? ", bias" : "")
              << (c.nested ? ", nested, " : ", greedy, ") << c10::toString(c.target);
  }
};

class PrefixesOnAGpu : public testing::TestWithParam<PrefixCase> {};

INSTANTIATE_TEST_SUITE_P(
    Shapes, PrefixesOnAGpu,
    testing::Values(PrefixCase{4, 37, 16, false, true, at::kFloat}, PrefixCase{4, 1100, 24, true, true, at::kHalf},
                    PrefixCase{3, 50, 7, true, false, at::kBFloat16}, PrefixCase{1, 9, 8, false, true, at::kFloat},
                    PrefixCase{16, 33, 12, true, true, at::kHalf}, PrefixCase{5, 20, 5, false, false, at::kFloat}));

TEST_P(PrefixesOnAGpu, HaveTheGradientsOfFloat64) {
  const PrefixCase c = GetParam();
  const at::Tensor outputs = random_tensor({c.learners, c.rows, c.width}, at::kFloat, 1),
                   target = random_tensor({c.rows, c.width}, at::kFloat, 2).to(c.target),
                   b2 = random_tensor({c.learners, c.width}, at::kFloat, 3);
  at::Tensor sums = outputs.to(at::kDouble);
  if (c.output_bias) sums = sums + b2.to(at::kDouble).unsqueeze(1);
  const at::Tensor errors = sums.cumsum(0) - target.to(at::kDouble);
  const at::Tensor expected = c.nested ? errors.flip(0).cumsum(0).flip(0) : errors;

  const at::Tensor found = outputs.to(test_device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  const at::Tensor squares = run_prefix_gradients_on_gpu(found, target.to(test_device()),
                                                         c.output_bias ? b2.to(test_device()) : at::Tensor(), c.nested);
  EXPECT_NEAR(squares.item<double>() / errors.square().sum().item<double>(), 1, 1e-6);
  EXPECT_LT(relative_difference(found.cpu().to(at::kDouble), expected), 1e-6);
}

}  // namespace
}  // namespace acm
