#pragma once

#include <cstdint>

namespace acm::nn {

// On a GPU: out[s, i] = random_uniform(keys[s], i) for `samples` streams of `numbers` numbers each, the bits of the
// CPU. keys and out lie on the GPU; `stream` is a cudaStream_t, on which the kernel is put. Gives what CUDA says of
// that, or nullptr.
const char* fill_token_uniform(const int64_t* keys, int64_t samples, int64_t numbers, double* out, void* stream);

}  // namespace acm::nn
