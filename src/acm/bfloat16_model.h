#pragma once

#include "nn/backbone.h"

namespace acm {

// Casts a float32 model for inference on the CPU: the matrices of its sites, dense or ACM, and of its patch embedding
// become bfloat16, once, those of sites in the form that the processor multiplies fastest, and attention multiplies in
// bfloat16 too. Biases, norms, embeddings, gates and head stay float32, as do tokens and logits
// (nn/kernels/bfloat16_layers.h).
void multiply_in_bfloat16(nn::Backbone& backbone);

}  // namespace acm
