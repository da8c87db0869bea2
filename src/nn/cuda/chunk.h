#pragma once

namespace acm::nn {

// Several numbers that are read and written at once.
template <class Number, int kNumbers>
struct alignas(sizeof(Number) * kNumbers) Chunk {
  Number of[kNumbers];
};

}  // namespace acm::nn
