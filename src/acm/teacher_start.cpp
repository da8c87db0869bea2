#include "acm/teacher_start.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/sort.h>

#include <algorithm>

namespace acm {
namespace {

// What the constant unit's first matrix gives. GELU is steep and its value near 1 there, so the unit learns like
// others.
constexpr double kConstantInput = 1.0;

void clear(AcmLayer& layer) {
  layer.w1.zero_();
  layer.b1.zero_();
  layer.w2.zero_();
  if (layer.b2.defined()) layer.b2.zero_();
}

// Columns with the sign that makes their largest element positive: an eigenvector has none of its own.
at::Tensor signed_columns(const at::Tensor& columns) {
  const at::Tensor largest = columns.gather(0, columns.abs().argmax(0, /*keepdim=*/true));
  return columns * largest.sign();
}

}  // namespace

at::Tensor hidden_energy(const nn::DenseFeedForward& dense, const at::Tensor& tokens) {
  const at::NoGradGuard no_grad;
  return at::gelu(dense.fc1->forward(tokens)).to(at::kDouble).square().sum(0);
}

at::Tensor input_moment(const at::Tensor& tokens) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = tokens.to(at::kDouble);
  const at::Tensor extended = at::cat({values, values.new_ones({values.size(0), 1})}, 1);
  return at::matmul(extended.t(), extended);
}

void start_from(AcmLayer& layer, const nn::DenseFeedForward& dense, const at::Tensor& energy) {
  TORCH_CHECK(layer.shape().activation == Activation::kGelu, "learners of a feed-forward network use GELU");
  const at::NoGradGuard no_grad;
  const at::Tensor rows = at::linalg_vector_norm(dense.fc2->weight.to(at::kDouble), 2, 0);
  const at::Tensor importance = energy.sqrt() * rows;
  const at::Tensor order = std::get<1>(at::sort(importance, /*stable=*/true, /*dim=*/0, /*descending=*/true));
  const int64_t constants = layer.b2.defined() ? 0 : 1;
  const int64_t units = std::min(order.numel(), layer.shape().hidden() - constants);
  const at::Tensor kept = order.narrow(0, 0, units);

  clear(layer);
  layer.w1.narrow(1, constants, units).copy_(dense.fc1->weight.index_select(0, kept).t());
  layer.b1.narrow(0, constants, units).copy_(dense.fc1->bias.index_select(0, kept));
  layer.w2.narrow(0, constants, units).copy_(dense.fc2->weight.index_select(1, kept).t());
  if (constants == 0) {
    layer.b2.select(0, 0).copy_(dense.fc2->bias);
  } else {
    layer.b1.select(0, 0).fill_(kConstantInput);
    layer.w2.select(0, 0).copy_(dense.fc2->bias / at::gelu(at::scalar_tensor(kConstantInput, at::kDouble)));
  }
}

// With A = [W b], M the moment and M = C C', the best map of rank r is U_r U_r' A, U the left singular vectors of A C.
// They are the eigenvectors of A M A', which exist where M is singular and has no Cholesky factor as well.
void start_from(AcmLayer& layer, const nn::DenseProjection& dense, const at::Tensor& moment) {
  TORCH_CHECK(layer.shape().activation == Activation::kIdentity, "only learners without activation are linear maps");
  const at::NoGradGuard no_grad;
  const at::Tensor weight = dense.weight.to(at::kDouble);
  const at::Tensor bias = dense.bias.defined() ? dense.bias.to(at::kDouble) : weight.new_zeros({weight.size(0)});
  const at::Tensor map = at::cat({weight, bias.unsqueeze(1)}, 1);
  const at::Tensor outputs = at::matmul(at::matmul(map, moment), map.t());
  const at::Tensor vectors = std::get<1>(at::linalg_eigh(outputs)).flip(1);  // largest first
  const int64_t rank = std::min(layer.shape().hidden(), layer.shape().width);
  const at::Tensor directions = signed_columns(vectors.narrow(1, 0, rank));

  clear(layer);
  layer.w1.narrow(1, 0, rank).copy_(at::matmul(weight.t(), directions));
  layer.b1.narrow(0, 0, rank).copy_(at::matmul(directions.t(), bias));
  layer.w2.narrow(0, 0, rank).copy_(directions.t());
}

}  // namespace acm
