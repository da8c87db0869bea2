#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace acm::nn {

// Of a warp: sums [16, 8] += left [16, 16] times the transpose of right [8, 16], both bfloat16. Lane 4 g + t has of
// `left`, in pairs, the numbers 2 t, 2 t + 1 of rows g and g + 8, then 2 t + 8, 2 t + 9 of both; of `right` those of
// row g; and of the sums columns 2 t, 2 t + 1 of rows g and g + 8 (PTX ISA, mma.m16n8k16).
__device__ inline void multiply_in_warp(float (&sums)[4], const uint32_t (&left)[4], const uint32_t (&right)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

}  // namespace acm::nn
