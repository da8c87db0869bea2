#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>

namespace acm::phases {

// While it lives, torch's operations run on one thread where `shortest_side`, the shortest side of any matrix product
// in sight, is short. MKL's product has other bits with one thread than with two where a side of the result is 5, 6, 7,
// 9, 10 or 11 in float32, and up to 32 in float64 (measured with LibTorch 2.11 on AMD Zen 4), and what must not depend
// on threads may not either. Such products are too small to gain from threads.
class SingleThreadIfShort {
 public:
  SingleThreadIfShort(int64_t shortest_side, c10::ScalarType dtype);
  ~SingleThreadIfShort();
  SingleThreadIfShort(const SingleThreadIfShort&) = delete;

 private:
  int threads_before_;
};

}  // namespace acm::phases
