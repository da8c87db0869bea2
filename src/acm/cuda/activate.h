#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm {

// hidden [rows, columns] on a GPU, in place the activation of each number plus the bias of its column. `type`: float32,
// bfloat16 or float16; `stream`: a cudaStream_t, on which the work is put. Gives what CUDA says of that, or nullptr.
const char* activate_on_gpu(at::ScalarType type, bool gelu, void* hidden, const void* bias, int64_t rows,
                            int64_t columns, void* stream);

}  // namespace acm
