#include "acm/gated_execution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros_like.h>

#include "acm/bfloat16_gated_kernels.h"
#include "acm/gated_kernels.h"

namespace acm {

at::Tensor bias_sums(const LearnerWeights& weights) {
  if (!weights.b2.defined()) return {};
  return at::cumsum(weights.b2, 0).to(weights.b2.scalar_type());  // autocast sums in float32
}

at::Tensor run_first_learners(const at::Tensor& tokens, int64_t count, const LearnerWeights& weights) {
  if (count == 0) return at::zeros_like(tokens);
  if (in_bfloat16(weights)) return run_first_learners_in_bfloat16(tokens, count, weights);
  if (gated_kernels_apply(tokens, weights)) return run_first_learners_by_kernels(tokens, count, weights);
  const int64_t columns = count * (weights.w2.size(0) / weights.learners);
  // Slices of the fused matrices: a product reads them with the full row stride, so nothing is copied.
  const at::Tensor hidden =
      apply(weights.activation, at::addmm(weights.b1.narrow(0, 0, columns), tokens, weights.w1.narrow(1, 0, columns)));
  const at::Tensor output = at::mm(hidden, weights.w2.narrow(0, 0, columns));
  return weights.b2.defined() ? output + weights.b2.narrow(0, 0, count).sum(0) : output;
}

at::Tensor run_chosen_learners(const at::Tensor& tokens, const at::Tensor& choice, const LearnerWeights& weights) {
  TORCH_CHECK(choice.dim() == 1 && choice.size(0) == tokens.size(0), "one count for each token");
  if (in_bfloat16(weights)) return run_chosen_learners_in_bfloat16(tokens, choice, weights);
  if (gated_kernels_apply(tokens, weights)) return run_chosen_learners_by_kernels(tokens, choice, weights);
  const at::Tensor tokens_of_count = at::bincount(choice, {}, weights.learners + 1).cpu();
  TORCH_CHECK(tokens_of_count.numel() == weights.learners + 1, "a token chose more learners than there are");
  const int64_t* sizes = tokens_of_count.const_data_ptr<int64_t>();

  const at::Tensor order = std::get<1>(at::sort(choice, /*stable=*/true, /*dim=*/0, /*descending=*/false));
  at::Tensor output = at::zeros_like(tokens);
  int64_t begin = sizes[0];  // tokens that run no learner stay zero
  for (int64_t count = 1; count <= weights.learners; ++count) {
    if (sizes[count] == tokens.size(0)) return run_first_learners(tokens, count, weights);
    if (sizes[count] == 0) continue;
    const at::Tensor rows = order.narrow(0, begin, sizes[count]);
    output.index_copy_(0, rows, run_first_learners(tokens.index_select(0, rows), count, weights));
    begin += sizes[count];
  }
  return output;
}

}  // namespace acm
