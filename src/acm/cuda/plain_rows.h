#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm {

// Passes over rows of hidden units on a GPU that know nothing of learners. `type`: float32, bfloat16 or float16;
// `stream`: a cudaStream_t, on which the work is put. Each launching function gives what CUDA says of that, or nullptr.

// hidden [rows, columns], in place the activation of each number plus the bias of its column.
const char* activate_on_gpu(at::ScalarType type, bool gelu, void* hidden, const void* bias, int64_t rows,
                            int64_t columns, void* stream);

// numbers [rows, columns] -> float32 parts [row_parts(rows, columns), columns]: part p is the sum of the rows p, p +
// the number of parts, and so on.
int64_t row_parts(int64_t rows, int64_t columns);
const char* sum_rows_on_gpu(at::ScalarType type, const void* numbers, int64_t rows, int64_t columns, float* parts,
                            void* stream);

}  // namespace acm
