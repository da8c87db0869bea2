#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace acm::nn {

// softmax(q k' / sqrt(size of a head)) v for each sample and head. q, k and v [samples, tokens, width], their heads
// side by side -> the same shape. The bits are the same for any number of threads where the kernels apply; elsewhere it
// is the tensor operation.
at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t heads);

// The same with products in bfloat16: of rounded queries, keys, values and weights. Packed float32 on the CPU, no
// gradients.
at::Tensor bfloat16_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t heads);

}  // namespace acm::nn
