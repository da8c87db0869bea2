// The product of a warp on the CPU: each lane finds its own sums from what all have.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstdint>

namespace acm::nn {

inline float number_of(uint32_t pair, int which) {
  return std::bit_cast<float>(which == 0 ? pair << 16 : pair & 0xffff0000u);
}

inline void multiply_in_warp(float (&sums)[4], const uint32_t (&left)[4], const uint32_t (&right)[2]) {
  static uint32_t all[emulated::kMostThreads][6];
  const unsigned thread = threadIdx.x, lane = thread % emulated::kWarp, first = thread - lane;
  auto& warp = emulated::block->warps[thread / emulated::kWarp];
  for (int i = 0; i < 4; ++i) all[thread][i] = left[i];
  for (int i = 0; i < 2; ++i) all[thread][4 + i] = right[i];
  warp.arrive_and_wait();
  for (int at = 0; at < 4; ++at) {
    const unsigned column = lane % 4 * 2 + static_cast<unsigned>(at % 2);
    for (unsigned t = 0; t < 4; ++t)
      for (int pair = 0; pair < 2; ++pair)
        for (int which = 0; which < 2; ++which)
          sums[at] += number_of(all[first + lane / 4 * 4 + t][pair * 2 + at / 2], which) *
                      number_of(all[first + column * 4 + t][4 + pair], which);
  }
  warp.arrive_and_wait();
}

}  // namespace acm::nn
