#include "acm/teacher_start.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_cholesky.h>
#include <ATen/ops/linalg_inv.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "unit/acm/random_layer.h"

namespace acm {
namespace {

using test::random_tensor;

at::Tensor numbers(const std::vector<double>& values, at::IntArrayRef sizes) {
  return at::tensor(values, at::kDouble).view(sizes);
}

std::shared_ptr<nn::DenseFeedForward> feed_forward(const at::Tensor& w1, const at::Tensor& b1, const at::Tensor& w2,
                                                   const at::Tensor& b2) {
  auto dense = std::make_shared<nn::DenseFeedForward>(w1.size(1), w1.size(0));
  dense->to(at::kDouble);
  const at::NoGradGuard no_grad;
  dense->fc1->weight.copy_(w1), dense->fc1->bias.copy_(b1), dense->fc2->weight.copy_(w2), dense->fc2->bias.copy_(b2);
  return dense;
}

std::shared_ptr<nn::DenseFeedForward> random_feed_forward(int64_t width, int64_t hidden) {
  return feed_forward(random_tensor({hidden, width}, at::kDouble, 1), random_tensor({hidden}, at::kDouble, 2),
                      random_tensor({width, hidden}, at::kDouble, 3), random_tensor({width}, at::kDouble, 4));
}

std::shared_ptr<AcmLayer> layer_of(const AcmShape& shape) {
  auto layer = test::random_layer(shape, at::kDouble);  // what was there before must not be seen after
  return layer;
}

at::Tensor dense_output(nn::TokenModule& dense, const at::Tensor& tokens) {
  const at::NoGradGuard no_grad;
  nn::TokenContext context;
  return dense.forward(tokens, context);
}

at::Tensor prefix(const AcmLayer& layer, const at::Tensor& tokens, int64_t k) {
  return layer.prefixes(tokens).detach().select(-2, k);
}

// Figures by numpy, with GELU from math.erf.
TEST(TeacherStart, DealsHiddenUnitsByImportance) {
  const auto dense = feed_forward(numbers({1, -.5, .25, 2, -1, .75, 3, .5}, {4, 2}), numbers({.5, -.25, 0, 1}, {4}),
                                  numbers({1, -2, .5, .125, .5, 1, 4, -.25}, {2, 4}), numbers({.75, -1.5}, {2}));
  const at::Tensor tokens = numbers({1, 2, -1, .5, .25, -1}, {3, 2});
  const at::Tensor energy = hidden_energy(*dense, tokens);
  EXPECT_LT(test::relative_difference(
                energy, numbers({1.3982049460353925, 16.119502406499354, 1.7290829784376769, 26.25468505804453}, {4})),
            1e-14);
  const auto layer = layer_of({2, 2, 2, 0, Activation::kGelu, false});
  start_from(*layer, *dense, energy);
  // Importance 0.76, 5.18, 3.06, 0.83: a constant unit, then units 1, 2 and 3; unit 0 is lost.
  EXPECT_TRUE(layer->w1.equal(numbers({0, .25, -1, 3, 0, 2, .75, .5}, {2, 4})));
  EXPECT_TRUE(layer->b1.equal(numbers({1, -.25, 0, 1}, {4})));
  EXPECT_LT(test::relative_difference(
                layer->w2, numbers({0.8914300630087951, -1.7828601260175903, -2, 1, .5, 4, .125, -.25}, {4, 2})),
            1e-14);
  const at::Tensor all = numbers({-6.451881193904064, 2.6327985958951583, 0.6791356640454835, 3.8981456388325793,
                                  0.8732090654373325, -2.4455026962241897},
                                 {3, 2});
  EXPECT_LT(test::relative_difference(prefix(*layer, tokens, 2), all), 1e-14);
}

TEST(TeacherStart, WithAnOutputBiasTheWholeDenseModuleIsThere) {
  const auto dense = random_feed_forward(6, 12);
  const at::Tensor tokens = random_tensor({50, 6}, at::kDouble, 5);
  const auto layer = layer_of({6, 3, 4, 0, Activation::kGelu, true});
  start_from(*layer, *dense, hidden_energy(*dense, tokens));
  EXPECT_LT(test::relative_difference(prefix(*layer, tokens, 3), dense_output(*dense, tokens)), 1e-14);
  EXPECT_TRUE(layer->b2[0].equal(dense->fc2->bias));
  EXPECT_EQ(layer->b2.narrow(0, 1, 2).abs().max().item<double>(), 0);
}

TEST(TeacherStart, SparePlacesAreZeroAndUnitsWithoutAPlaceAreTheLeastImportant) {
  const auto dense = random_feed_forward(6, 10);
  const at::Tensor tokens = random_tensor({50, 6}, at::kDouble, 5), energy = hidden_energy(*dense, tokens);
  const auto wide = layer_of({6, 4, 3, 0, Activation::kGelu, false});  // 12 places for a constant and 10 units
  start_from(*wide, *dense, energy);
  EXPECT_LT(test::relative_difference(prefix(*wide, tokens, 4), dense_output(*dense, tokens)), 1e-14);
  for (const auto& spare : {wide->w1.select(1, 11), wide->b1.select(0, 11), wide->w2.select(0, 11)})
    EXPECT_EQ(spare.abs().max().item<double>(), 0);

  const auto narrow = layer_of({6, 4, 2, 0, Activation::kGelu, false});  // 8 places: three units are lost
  start_from(*narrow, *dense, energy);
  for (const char* name : {"w1", "b1"}) {
    const auto of = [&](const AcmLayer& layer) { return layer.named_parameters()[name].narrow(-1, 0, 8); };
    EXPECT_TRUE(of(*narrow).equal(of(*wide))) << name;
  }
}

// The same function with its hidden units in another order gives the same learners.
TEST(TeacherStart, TheOrderOfHiddenUnitsDoesNotMatter) {
  const auto dense = random_feed_forward(6, 12);
  const at::Tensor order = at::tensor({7, 3, 0, 11, 5, 1, 9, 2, 10, 4, 8, 6}, at::kLong);
  const auto other = feed_forward(dense->fc1->weight.index_select(0, order), dense->fc1->bias.index_select(0, order),
                                  dense->fc2->weight.index_select(1, order), dense->fc2->bias);
  const at::Tensor tokens = random_tensor({50, 6}, at::kDouble, 5);
  const AcmShape shape{6, 4, 3, 0, Activation::kGelu, false};
  const auto a = layer_of(shape), b = layer_of(shape);
  start_from(*a, *dense, hidden_energy(*dense, tokens));
  start_from(*b, *other, hidden_energy(*other, tokens));
  EXPECT_TRUE(a->w1.equal(b->w1));
  EXPECT_TRUE(a->w2.equal(b->w2));
}

std::shared_ptr<nn::DenseProjection> projection(const at::Tensor& weight, const at::Tensor& bias) {
  auto dense = std::make_shared<nn::DenseProjection>(weight.size(0));
  dense->to(at::kDouble);
  const at::NoGradGuard no_grad;
  dense->weight.copy_(weight), dense->bias.copy_(bias);
  return dense;
}

// The affine map of the first k learners, [width, width + 1].
at::Tensor map_of(const AcmLayer& layer, int64_t k) {
  const at::NoGradGuard no_grad;
  const int64_t columns = k * layer.shape().learner_width;
  const at::Tensor inner = at::cat({layer.w1.t(), layer.b1.unsqueeze(1)}, 1).narrow(0, 0, columns);
  return at::matmul(layer.w2.narrow(0, 0, columns).t(), inner);
}

// Figures by numpy: SVD of [W b] times the Cholesky factor of the moment.
TEST(TeacherStart, PrefixesOfAProjectionAreTheBestMapsOfTheirRank) {
  const auto dense = projection(numbers({2, -1, .5, 0, 1.5, 1, .25, .5, -3}, {3, 3}), numbers({1, -.5, .25}, {3}));
  const at::Tensor tokens = numbers({1, 0, 2, .5, -1, 1, -2, 1.5, .25, 3, .5, -1, 0, 2, 1}, {5, 3});
  const at::Tensor moment = input_moment(tokens);
  EXPECT_TRUE(
      moment.equal(numbers({14.25, -2, -1, 2.5, -2, 7.5, .875, 3, -1, .875, 7.0625, 3.25, 2.5, 3, 3.25, 5}, {4, 4})));
  const auto layer = layer_of({3, 2, 1, 1, Activation::kIdentity, false});
  start_from(*layer, *dense, moment);
  const at::Tensor first =
                       numbers({1.8922714041732438, -1.2515989304096755, 0.6767883238337948, 1.0089280237027278,
                                -0.30499445581891227, 0.20173149255543202, -0.10908408068580837, -0.1626180329476096,
                                -0.2306052913195098, 0.15252850903193452, -0.08247810976540348, -0.12295495261053133},
                               {3, 4}),
                   second = numbers({1.9149650003143355, -1.2564419027658007, 0.48065336984737067, 1.0378572259121852,
                                     -0.4222056601159307, 0.22674518446698927, 0.9039424144786968, -0.31203580742640225,
                                     0.11063237090335877, 0.079706001980192, -3.031708049454324, 0.312045885095083},
                                    {3, 4});
  EXPECT_LT(test::relative_difference(map_of(*layer, 1), first), 1e-13);
  EXPECT_LT(test::relative_difference(map_of(*layer, 2), second), 1e-13);
}

TEST(TeacherStart, PrefixesAgreeWithTheSingularValueDecomposition) {
  constexpr int64_t kWidth = 16;
  const auto dense =
      projection(random_tensor({kWidth, kWidth}, at::kDouble, 1), random_tensor({kWidth}, at::kDouble, 2));
  const at::Tensor moment =
      input_moment(random_tensor({200, kWidth}, at::kDouble, 3) * random_tensor({kWidth}, at::kDouble, 4).exp());
  const auto layer = layer_of({kWidth, 4, 2, 1, Activation::kIdentity, true});
  start_from(*layer, *dense, moment);
  const at::Tensor factor = at::linalg_cholesky(moment),
                   map = at::cat({dense->weight.detach(), dense->bias.detach().unsqueeze(1)}, 1);
  const auto [u, s, v] = at::linalg_svd(map.matmul(factor), /*full_matrices=*/false);
  for (int64_t k = 1; k <= 4; ++k) {
    const at::Tensor best =
        (u.narrow(1, 0, 2 * k) * s.narrow(0, 0, 2 * k)).matmul(v.narrow(0, 0, 2 * k)).matmul(at::linalg_inv(factor));
    EXPECT_LT(test::relative_difference(map_of(*layer, k), best), 1e-10) << k;
  }
  EXPECT_EQ(layer->b2.abs().max().item<double>(), 0);
}

TEST(TeacherStart, InputsThatNeverVaryAreNoObstacle) {
  const auto dense = projection(random_tensor({4, 4}, at::kDouble, 1), random_tensor({4}, at::kDouble, 2));
  const at::Tensor tokens = random_tensor({1, 4}, at::kDouble, 3);  // a moment of rank 1
  const auto layer = layer_of({4, 2, 1, 1, Activation::kIdentity, false});
  start_from(*layer, *dense, input_moment(tokens));
  EXPECT_LT(test::relative_difference(prefix(*layer, tokens, 2), dense_output(*dense, tokens)), 1e-12);
}

}  // namespace
}  // namespace acm
