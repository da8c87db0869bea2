#pragma once

#include "nn/layers.h"

namespace acm::nn {

// Whether norm_of_sum_on_gpu can read these tokens, on a GPU.
bool norm_fits_gpu(const at::Tensor& tokens);

// LayerNorm::forward_sum on a GPU, by one kernel for sum and norm and one for their gradients (of weight and bias: but
// for a small sum), since each reads and writes as much as memory allows. What is normalised comes in autocast's type
// where that is on. tokens float32, update float32, bfloat16, float16 or undefined.
LayerNorm::OfSum norm_of_sum_on_gpu(const at::Tensor& tokens, const at::Tensor& update, const at::Tensor& weight,
                                    const at::Tensor& bias, double eps);

}  // namespace acm::nn
