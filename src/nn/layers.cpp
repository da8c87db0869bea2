#include "nn/layers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>

#include "nn/kernels/feed_forward.h"
#include "nn/kernels/vector_math.h"
#ifdef ACM_WITH_CUDA
#include "nn/norm_on_gpu.h"
#endif

namespace acm::nn {

Linear::Linear(int64_t in, int64_t out) {
  weight = register_parameter("weight", at::empty({out, in}));
  bias = register_parameter("bias", at::empty({out}));
}

at::Tensor Linear::forward(const at::Tensor& tokens) const { return linear(tokens, weight, bias); }

LayerNorm::LayerNorm(int64_t width, double eps) : eps_(eps) {
  weight = register_parameter("weight", at::empty({width}));
  bias = register_parameter("bias", at::empty({width}));
}

at::Tensor LayerNorm::by_kernel(const at::Tensor& tokens, const at::Tensor& update) const {
  constexpr int64_t kRowsAtOnce = 256;
  at::Tensor to = at::empty_like(tokens);
  const int64_t width = weight.size(0);
  float *values = tokens.mutable_data_ptr<float>(), *normalised = to.mutable_data_ptr<float>();
  const float* added = update.defined() ? update.const_data_ptr<float>() : nullptr;
  share_rows_among_threads(tokens.numel() / width, kRowsAtOnce, [&](int64_t first, int64_t rows) {
    const int64_t offset = first * width;
    layer_norm({values + offset, added != nullptr ? added + offset : nullptr, values + offset, normalised + offset},
               weight.const_data_ptr<float>(), bias.const_data_ptr<float>(), static_cast<float>(eps_), rows, width);
  });
  return to;
}

at::Tensor LayerNorm::forward(const at::Tensor& tokens) const {
  if (kernels_apply({tokens, weight, bias})) return by_kernel(tokens, {});
#ifdef ACM_WITH_CUDA
  if (norm_fits_gpu(tokens)) return norm_of_sum_on_gpu(tokens, {}, weight, bias, eps_).normalised;
#endif
  return at::layer_norm(tokens, weight.sizes(), weight, bias, eps_);
}

LayerNorm::OfSum LayerNorm::forward_sum(const at::Tensor& tokens, const at::Tensor& update) const {
  if (!update.defined()) return {tokens, forward(tokens)};
  if (kernels_apply({tokens, update, weight, bias})) return {tokens, by_kernel(tokens, update)};
#ifdef ACM_WITH_CUDA
  if (norm_fits_gpu(tokens)) return norm_of_sum_on_gpu(tokens, update, weight, bias, eps_);
#endif
  const at::Tensor sum = tokens.add(update);
  return {sum, forward(sum)};
}

}  // namespace acm::nn
